/** `becalm pause` and `becalm resume`: the emergency stop of a namespace, or of one policy. */
import type { PauseNote } from "../model/instance-types.ts";
import { count } from "../present/text-table.ts";
import { isoTime } from "../present/time-text.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { requireWho } from "./send.ts";
import type { Terminal } from "./terminal.ts";
import { type ActingOptions, withActing } from "./with-namespace.ts";

type WhoOptions = ActingOptions & {
  readonly by?: string;
  readonly why?: string;
  readonly policy?: string;
  readonly json: boolean;
};

export type PauseOptions = WhoOptions & { readonly list: boolean };

export async function pause(terminal: Terminal, options: PauseOptions): Promise<number> {
  if (options.list) return listPauses(terminal, options);
  const who = requireWho(options);
  return withActing(options, "pause", async ({ pauses, mode, logger }) => {
    const paused = await pauses.pause({ ...who, ...scopeOf(options) });
    logger.info(plainPause(paused), "paused");
    if (options.json) await terminal.json({ ...plainPause(paused), mode });
    else {
      await terminal.out(
        `${named(paused.scope)} is paused: what would run is held, and attempts that nobody has begun wait.`,
      );
      await terminal.out(
        `Lift it: becalm resume${option(paused.scope)} --by WHO --why TEXT. Add --decide to decide what it held, in order of arrival, or --deny to skip it.`,
      );
    }
    return EXIT.done;
  });
}

async function listPauses(terminal: Terminal, options: PauseOptions): Promise<number> {
  return withActing(options, "pause", async ({ pauses }) => {
    const holding = await pauses.pauses();
    for (const one of holding) {
      if (options.json) await terminal.json(plainPause(one));
      else await terminal.out(`${named(one.scope)} is paused by ${one.by} since ${isoTime(one.sinceMs)}: ${one.why}`);
    }
    if (holding.length === 0) terminal.note("Nothing is paused.");
    return EXIT.done;
  });
}

export type ResumeOptions = WhoOptions & { readonly decide: boolean; readonly deny: boolean };

export async function resume(terminal: Terminal, options: ResumeOptions): Promise<number> {
  const { decide, deny } = options;
  if (decide && deny) throw usedWrongly("Give --decide or --deny, not both.");
  const who = requireWho(options);
  const held = decide ? "decide" : deny ? "deny" : "keep";
  return withActing(options, "resume", async ({ pauses, mode, logger }) => {
    const { lifted, decided } = await pauses.resume({ ...who, ...scopeOf(options), held });
    const scope = options.policy ?? null;
    logger.info({ ...who, scope, resumed: lifted !== null, held, decided }, "resumed");
    if (options.json) {
      await terminal.json({ scope, resumed: lifted !== null, held, decided, mode });
      return EXIT.done;
    }
    const whose = scope === null ? "everything" : `policy "${scope}"`;
    if (lifted !== null) await terminal.out(`The pause of ${whose} is lifted.`);
    if (held === "keep")
      await terminal.out(
        `What it held stays held: becalm ls --state Waiting shows it, becalm resume${option(scope)} --decide decides it.`,
      );
    else
      await terminal.out(
        `${count(decided, "held instance was", "held instances were")} ${held === "decide" ? "decided again" : "denied"}.`,
      );
    return EXIT.done;
  });
}

function scopeOf({ policy }: WhoOptions): { policy?: string } {
  return policy === undefined ? {} : { policy };
}

function named(scope: string | null): string {
  return scope === null ? "Everything" : `Policy "${scope}"`;
}

function option(scope: string | null): string {
  return scope === null ? "" : ` --policy ${scope}`;
}

function plainPause({ scope, by, why, sinceMs }: PauseNote): object {
  return { scope, by, why, since: isoTime(sinceMs) };
}
