/** `becalm export`: instances with their histories, checkpoints and policy versions in one file. */
import { createWriteStream } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { finished } from "node:stream/promises";
import { birthOf } from "../instance/audit.ts";
import { BecalmError } from "../model/errors.ts";
import { count } from "../present/text-table.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { BundleWriter } from "../simulate/bundle.ts";
import { type StoredHistory, UnwrittenNames, UnwrittenPolicies, withEnds } from "../simulate/stored-bundle.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { Progress } from "./progress.ts";
import { nowOf, sinceMsOf } from "./since-option.ts";
import type { Terminal } from "./terminal.ts";
import { checkTrail } from "./trail.ts";
import { unwritable } from "./unwritable-file.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type ExportOptions = StoreOptions & {
  readonly ids: readonly string[];
  readonly out: string;
  readonly group?: string;
  readonly since?: string;
  readonly redact?: readonly string[];
};

const PAGE_COUNT = 256;
const READ_AT_ONCE = 32;

type Totals = { instances: number; broken: string[]; removed: number };

export async function exportCommand(terminal: Terminal, options: ExportOptions): Promise<number> {
  const { since } = options;
  if (options.ids.length > 0 && (options.group !== undefined || since !== undefined))
    throw usedWrongly("Give ids, or --group and --since, not both.");
  return withReading(options, "export", async (instances, named) => {
    const sinceMs = since === undefined ? null : sinceMsOf(since, nowOf(instances.runtime));
    const file = output(options.out);
    const totals: Totals = { instances: 0, broken: [], removed: 0 };
    try {
      await writeAll(file.write, {
        instances,
        options: named,
        sinceMs,
        totals,
        progress: new Progress(terminal),
        say: terminal.say,
      });
      if (options.group !== undefined && totals.instances === 0 && sinceMs === null) throw noGroup(options.group);
      await file.keep();
    } catch (error) {
      await file.discard();
      throw error;
    }
    return report(terminal, options, totals);
  });
}

function noGroup(group: string): BecalmError {
  const what = `There is no group ${group}, and so nothing to export. \`becalm ls\` shows the groups of instances.`;
  return new BecalmError("BECALM_NOT_FOUND", what, { details: { group } });
}

type Context = {
  readonly instances: InstanceReader;
  readonly options: ExportOptions;
  readonly sinceMs: number | null;
  readonly totals: Totals;
  readonly progress: Progress;
  readonly say: Terminal["say"];
};

async function writeAll(write: (line: string) => Promise<void>, context: Context): Promise<void> {
  const { instances, options, totals, progress } = context;
  const { redact = [], namespace } = options;
  const bundle = new BundleWriter(redact);
  const policies = new UnwrittenPolicies(instances.runtime.store);
  const names = redact.length === 0 ? new UnwrittenNames(instances) : null;
  const { mode, highestTimeMs, partitions } = instances.runtime;
  const reached = mode === "live" ? {} : { virtualTimeMs: highestTimeMs ?? 0 };
  await write(bundle.header({ namespace, exportedAtMs: Date.now(), partitions, ...reached }));
  for await (const one of instancesOf(context)) {
    const policy = await policies.of(birthOf(one.id, one.lines));
    if (policy !== null) await write(bundle.policy(policy));
    await write(bundle.instance(names === null ? one : await names.with(one)));
    totals.instances += 1;
    progress.update((seconds) => {
      const rate = Math.round(totals.instances / seconds);
      return context.say(`${totals.instances} instances, ${rate}/s`, `${totals.instances} 个实例，每秒 ${rate}`);
    });
  }
  await write(bundle.end());
  progress.end();
}

async function* instancesOf(context: Context): AsyncGenerator<StoredHistory> {
  for await (const ids of idsOf(context)) {
    for (let start = 0; start < ids.length; start += READ_AT_ONCE) {
      const some = ids.slice(start, start + READ_AT_ONCE);
      const read = await Promise.all(some.map((id) => readOne(context.instances, id, context.totals)));
      yield* await withEnds(
        context.instances,
        read.filter((one) => one !== null),
        Date.now(),
      );
    }
  }
}

/** null: it was removed by its retention meanwhile. A trail that does not hold is exported as it is, and reported. */
async function readOne(instances: InstanceReader, id: string, totals: Totals): Promise<StoredHistory | null> {
  try {
    const { lines, fault } = await checkTrail(instances, id);
    if (fault !== null) totals.broken.push(id);
    if (lines.length === 0) return null;
    const { value, version } = await instances.stored(id);
    return { id, version, checkpoint: value, lines };
  } catch (error) {
    if (!(error instanceof BecalmError) || error.code !== "BECALM_NOT_FOUND") throw error;
    totals.removed += 1;
    return null;
  }
}

async function* idsOf({ instances, options, sinceMs }: Context): AsyncGenerator<readonly string[]> {
  const { ids, group } = options;
  if (ids.length > 0) {
    for (const id of ids) await instances.stored(id);
    return yield ids;
  }
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page = await instances.list({
      limit: PAGE_COUNT,
      ...(group === undefined ? {} : { group }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    const wanted = page.instances.filter(({ createdAtMs }) => sinceMs === null || createdAtMs >= sinceMs);
    yield wanted.map(({ id }) => id);
    // Newest first: from the first older one on, all are.
    cursor = wanted.length < page.instances.length ? null : page.next;
  }
}

/** The file appears under its name only when it is whole. `-` is stdout. */
function output(path: string) {
  if (path === "-") {
    const write = (line: string) => drained(process.stdout, line);
    return { write, keep: async () => {}, discard: async () => {} };
  }
  const part = `${path}.part`;
  const stream = createWriteStream(part, { flush: true });
  let failure: Error | null = null;
  stream.on("error", (error) => {
    failure = error;
  });
  return {
    write: async (line: string) => {
      if (failure !== null) throw unwritable(path, "--out", failure);
      await drained(stream, line);
    },
    keep: async () => {
      stream.end();
      await finished(stream).catch((error: unknown) => {
        throw unwritable(path, "--out", error);
      });
      await rename(part, path).catch((error: unknown) => {
        throw unwritable(path, "--out", error);
      });
    },
    discard: async () => {
      stream.destroy();
      await rm(part, { force: true });
    },
  };
}

function drained(stream: NodeJS.WritableStream, line: string): Promise<void> {
  if (stream.write(`${line}\n`)) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      stream.removeListener("drain", done).removeListener("error", done);
      resolve();
    };
    stream.once("drain", done).once("error", done);
  });
}

function report(terminal: Terminal, { out, redact = [] }: ExportOptions, totals: Totals): number {
  const { yellow } = terminal.noteColors;
  const { say } = terminal;
  const [to, names] = [out === "-" ? "stdout" : out, redact.join(", ")];
  const what = say(
    `${count(totals.instances, "instance", "instances")} written to ${to}`,
    `已将 ${totals.instances} 个实例写入 ${to}`,
  );
  const redacted = say(`; ${names} redacted in their alerts.`, `；告警中的 ${names} 已脱敏。`);
  terminal.note(`${what}${redact.length === 0 ? say(".", "。") : redacted}`);
  if (redact.length > 0)
    terminal.note(
      say(
        "Names of processes are left out. What targets answered, reasons that people gave and group ids are exported as they are.",
        "进程名称不导出。目标的响应、人工填写的原因和收敛组标识按原样导出。",
      ),
    );
  if (totals.removed > 0)
    terminal.note(
      say(
        `${count(totals.removed, "instance", "instances")} left out: removed by their retention meanwhile.`,
        `略去 ${totals.removed} 个实例：期间已过保留期而移除。`,
      ),
    );
  for (const id of totals.broken)
    terminal.note(
      yellow(
        say(`${id}: its trail does not hold; it was exported as it is.`, `${id}：审计记录校验不通过，已按原样导出。`),
      ),
    );
  return totals.broken.length > 0 ? EXIT.failed : EXIT.done;
}
