/** `becalm silence add`, `ls` and `expire`: silences that people make while everything runs. */
import { parseDuration } from "../model/duration.ts";
import { messageOf } from "../model/errors.ts";
import { parseTimestamp } from "../model/timestamp.ts";

import { matchersText } from "../present/matchers-text.ts";
import { count, textTable } from "../present/text-table.ts";
import { isoTime } from "../present/time-text.ts";
import type { StoredSilence } from "../runtime/silences/stored-silences.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { requireWho } from "./send.ts";
import type { Terminal } from "./terminal.ts";
import { type Acting, type ActingOptions, withActing } from "./with-namespace.ts";

export type SilenceOptions = ActingOptions & {
  readonly what: string;
  readonly args: readonly string[];
  readonly for?: string;
  readonly from?: string;
  readonly to?: string;
  readonly by?: string;
  readonly why?: string;
  readonly json: boolean;
};

export async function silence(terminal: Terminal, options: SilenceOptions): Promise<number> {
  const act = { add, ls, expire }[options.what as "ls"];
  if (act === undefined) throw usedWrongly(`There is no \`becalm silence ${options.what}\`. Use add, ls or expire.`);
  return withActing(options, "silence", (acting) => act(terminal, options, acting));
}

async function add(terminal: Terminal, options: SilenceOptions, acting: Acting): Promise<number> {
  const { args } = options;
  const { silences, nowMs, logger } = acting;
  if (args.length === 0) throw usedWrongly(`Say what is silenced: becalm silence add 'cluster="edge"' --for 2h ...`);
  const fromMs = options.from === undefined ? nowMs : instantOf("--from", options.from);
  const toMs = endOf(options, fromMs);
  const made = await silences.add({ match: args, fromMs, toMs, ...requireWho(options) });
  logger.info({ silence: made.id, ...plain(made) }, "silenced");
  if (options.json) await terminal.json(plain(made));
  else {
    const { say, reader } = terminal;
    const [what, from, to] = [matchersText(made.match), reader.times.iso(made.fromMs), reader.times.iso(made.toMs)];
    const expire = `becalm silence expire ${made.id} --by WHO --why TEXT`;
    await terminal.out(
      say(`${made.id} silences ${what} from ${from} to ${to}.`, `${made.id} 自 ${from} 至 ${to} 屏蔽 ${what}。`),
    );
    await terminal.out(
      say(
        `What it skips is decided when it ends, if its alert still fires. End it now: ${expire}`,
        `结束时若告警仍在触发，则重新决策被跳过的实例。立即结束：${expire}`,
      ),
    );
  }
  return EXIT.done;
}

async function ls(terminal: Terminal, { json }: SilenceOptions, { silences, nowMs }: Acting): Promise<number> {
  const { say, reader } = terminal;
  const all = await silences.silences();
  if (json) for (const one of all) await terminal.json({ ...plain(one), state: stateOf(one, nowMs) });
  else if (all.length === 0) terminal.note(say("There are no silences.", "没有屏蔽。"));
  else {
    const rows = all.map((one) => [
      one.id,
      say(stateOf(one, nowMs), STATES[stateOf(one, nowMs)]),
      reader.times.seconds(one.toMs),
      matchersText(one.match),
      `${one.author}: ${one.comment}`,
    ]);
    const until = `${say("until", "直到")} (${reader.times.zone})`;
    const head = ["id", say("state", "状态"), until, say("match", "匹配"), say("by", "操作人")];
    for (const line of textTable([head, ...rows])) await terminal.out(line);
  }
  return EXIT.done;
}

async function expire(terminal: Terminal, options: SilenceOptions, { silences, logger }: Acting): Promise<number> {
  const [id] = options.args;
  if (id === undefined) throw usedWrongly("Say which silence: becalm silence expire ID --by WHO --why TEXT");
  const who = requireWho(options);
  const looked = await silences.expire(id);
  logger.info({ silence: id, ...who, decided: looked }, "a silence was ended");
  if (options.json) await terminal.json({ id, expired: true, decided: looked });
  else
    await terminal.out(
      looked === null
        ? terminal.say(
            `Silence ${id} has ended. The server looks again at what it held.`,
            `屏蔽 ${id} 已结束，服务端将重新检查被屏蔽的实例。`,
          )
        : terminal.say(
            `Silence ${id} has ended. ${count(looked, "instance that it held was", "instances that it held were")} looked at again.`,
            `屏蔽 ${id} 已结束，重新检查了 ${looked} 个被屏蔽的实例。`,
          ),
    );
  return EXIT.done;
}

function endOf(options: SilenceOptions, fromMs: number): number {
  if ((options.for === undefined) === (options.to === undefined))
    throw usedWrongly("Say until when: --for 2h or --to TIME.");
  if (options.to !== undefined) return instantOf("--to", options.to);
  try {
    return fromMs + parseDuration(options.for ?? "");
  } catch (error) {
    throw usedWrongly(`--for takes a duration such as 30m or 2h: ${messageOf(error)}`);
  }
}

function instantOf(option: string, text: string): number {
  const atMs = parseTimestamp(text);
  if (atMs === null)
    throw usedWrongly(`${option} takes a time such as 2026-11-23T06:00:00Z, not ${JSON.stringify(text)}.`);
  return atMs;
}

function stateOf({ fromMs, toMs }: StoredSilence, nowMs: number): "pending" | "active" | "expired" {
  return nowMs < fromMs ? "pending" : nowMs < toMs ? "active" : "expired";
}

const STATES = { pending: "待生效", active: "生效中", expired: "已失效" } as const;

function plain({ id, match, fromMs, toMs, author, comment }: StoredSilence): object {
  return { id, match, from: isoTime(fromMs), to: isoTime(toMs), author, comment };
}
