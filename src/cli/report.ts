/** `becalm report`: what came of the rules since a time: the figures by which they are judged. Only reads. */
import { count } from "../present/text-table.ts";
import { isoTime } from "../present/time-text.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { OutcomeReport } from "../simulate/outcome-report.ts";
import { recordStored } from "../simulate/stored-recording.ts";
import { unknownPolicy } from "./assumptions.ts";
import { EXIT } from "./exit-codes.ts";
import { outcomeLine, outcomeText } from "./outcome-text.ts";
import { Progress } from "./progress.ts";
import { nowOf, sinceMsOf } from "./since-option.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type ReportOptions = StoreOptions & {
  /** A time, or how long ago. */
  readonly since: string;
  readonly policy?: string;
  /** Instances that are read at most. */
  readonly limit: number;
  readonly json: boolean;
};

export async function report(terminal: Terminal, options: ReportOptions): Promise<number> {
  return withReading(options, "report", async (instances) => {
    const { policy, limit } = options;
    const nowMs = nowOf(instances.runtime);
    const sinceMs = sinceMsOf(options.since, nowMs);
    const outcomes = new OutcomeReport();
    const read = await readSince(terminal, instances, { into: outcomes, sinceMs, nowMs, limit, policy });
    const rows = outcomes.rows();
    const summary = {
      since: isoTime(sinceMs),
      until: isoTime(nowMs),
      instances: outcomes.instances,
      unreadable: outcomes.unreadable + read.unreadable,
      isCut: read.isCut,
    };
    if (options.json) {
      for (const row of rows) await terminal.json(outcomeLine(row));
      await terminal.json({ summary });
    } else {
      const look = { colors: terminal.outColors, reader: terminal.reader, columns: terminal.columns };
      for (const line of outcomeText(rows, summary, look)) await terminal.out(line);
    }
    if (rows.length === 0) noteNothing(terminal, instances, policy);
    if (read.isCut)
      terminal.note(
        terminal.noteColors.yellow(
          terminal.say(
            `Only the newest ${count(read.count, "instance", "instances")} were read, back to ${isoTime(read.reachedMs)}: raise --limit, or give a later --since.`,
            `只读取了最新的 ${read.count} 个实例（至 ${isoTime(read.reachedMs)}）：请调大 --limit，或给出更晚的 --since。`,
          ),
        ),
      );
    return EXIT.done;
  });
}

type Reading = {
  readonly into: OutcomeReport;
  readonly sinceMs: number;
  readonly nowMs: number;
  readonly limit: number;
  readonly policy: string | undefined;
};

type Read = {
  readonly count: number;
  readonly unreadable: number;
  readonly isCut: boolean;
  readonly reachedMs: number;
};

/** Thrown to end the reading. */
class Enough extends Error {}

async function readSince(terminal: Terminal, instances: InstanceReader, reading: Reading): Promise<Read> {
  const { into, sinceMs, nowMs, limit, policy } = reading;
  const progress = new Progress(terminal);
  let unreadable = 0;
  let reachedMs = nowMs;
  let isCut = false;
  let total = 0;
  const add: OutcomeReport["add"] = (judged) => {
    const { birth } = judged.history;
    reachedMs = Math.min(reachedMs, birth.createdAtMs);
    if (policy === undefined || birth.policy === policy) into.add(judged);
  };
  const onRead = (read: number) => {
    total = read;
    progress.update((seconds) =>
      terminal.say(
        `${read} instances, ${Math.round(read / seconds)}/s`,
        `${read} 个实例，${Math.round(read / seconds)} 个/秒`,
      ),
    );
    if (read >= limit) throw new Enough();
  };
  try {
    await recordStored(instances, { add }, { fromMs: sinceMs, nowMs, onRead, onUnreadable: () => (unreadable += 1) });
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
    isCut = true;
  }
  progress.end();
  return { count: total, unreadable, isCut, reachedMs };
}

function noteNothing(terminal: Terminal, { runtime }: InstanceReader, policy: string | undefined): void {
  const known = [...new Set([...runtime.versions.values()].map((version) => version.policy.name))];
  if (policy !== undefined && !known.includes(policy))
    terminal.note(terminal.noteColors.yellow(`No instance is of it: ${unknownPolicy(policy, known)}`));
  else terminal.note(terminal.say("No instance was created since then.", "此后没有新建实例。"));
}
