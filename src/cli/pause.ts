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
  const { say } = terminal;
  return withActing(options, "pause", async ({ pauses, mode, logger }) => {
    const paused = await pauses.pause({ ...who, ...scopeOf(options) });
    logger.info(plainPause(paused), "paused");
    if (options.json) await terminal.json({ ...plainPause(paused), mode });
    else {
      const what = named(paused.scope, say);
      const lift = `becalm resume${option(paused.scope)} --by WHO --why TEXT`;
      await terminal.out(
        say(
          `${what} is paused: what would run is held, and attempts that nobody has begun wait.`,
          `${what}已暂停：本应执行的被保留，尚未开始的执行等待。`,
        ),
      );
      await terminal.out(
        say(
          `Lift it: ${lift}. Add --decide to decide what it held, in order of arrival, or --deny to skip it.`,
          `解除：${lift}。加 --decide 按到达顺序重新决策被保留的实例，加 --deny 则跳过。`,
        ),
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
      else await terminal.out(holdingText(terminal, one));
    }
    if (holding.length === 0) terminal.note(terminal.say("Nothing is paused.", "没有暂停。"));
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
    const { say } = terminal;
    const whose = scope === null ? say("everything", "全部") : say(`policy "${scope}"`, `策略 "${scope}" `);
    if (lifted !== null) await terminal.out(say(`The pause of ${whose} is lifted.`, `${whose}的暂停已解除。`));
    if (held === "keep") {
      const [shows, decides] = ["becalm ls --state Waiting", `becalm resume${option(scope)} --decide`];
      await terminal.out(
        say(
          `What it held stays held: ${shows} shows it, ${decides} decides it.`,
          `被保留的实例仍被保留：${shows} 可查看，${decides} 重新决策。`,
        ),
      );
    } else await terminal.out(say(...decidedText(decided, held)));
    return EXIT.done;
  });
}

function scopeOf({ policy }: WhoOptions): { policy?: string } {
  return policy === undefined ? {} : { policy };
}

function decidedText(decided: number, held: "decide" | "deny"): [en: string, zh: string] {
  const were = count(decided, "held instance was", "held instances were");
  return held === "decide"
    ? [`${were} decided again.`, `重新决策了 ${decided} 个被保留的实例。`]
    : [`${were} denied.`, `拒绝了 ${decided} 个被保留的实例。`];
}

function holdingText({ say, reader: { times } }: Terminal, { scope, by, why, sinceMs }: PauseNote): string {
  const since = times.iso(sinceMs);
  const what = named(scope, say);
  return say(`${what} is paused by ${by} since ${since}: ${why}`, `${what}自 ${since} 由 ${by} 暂停：${why}`);
}

function named(scope: string | null, say: Terminal["say"]): string {
  return scope === null ? say("Everything", "全部") : say(`Policy "${scope}"`, `策略 "${scope}" `);
}

function option(scope: string | null): string {
  return scope === null ? "" : ` --policy ${scope}`;
}

function plainPause({ scope, by, why, sinceMs }: PauseNote): object {
  return { scope, by, why, since: isoTime(sinceMs) };
}
