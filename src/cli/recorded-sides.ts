/**
 * The two sides of a difference over what a store or a bundle has recorded. The store is only read, and closed before
 * anything is played.
 */
import { decodeCheckpoint, type Instance } from "../instance/checkpoint.ts";
import { BecalmError } from "../model/errors.ts";
import { PARTITION_COUNT_DEFAULT } from "../model/limits.ts";
import type { Policy, PolicySet } from "../policy/policy.ts";
import { type CompiledPolicy, compilePolicy } from "../policy/policy-versions.ts";
import { count } from "../present/text-table.ts";
import { type BundledInstance, bundledHistory } from "../simulate/bundle.ts";
import { isSameOutcome, type OutcomeRow, type ReportSide } from "../simulate/diff.ts";
import { nameOfId } from "../simulate/recorded-history.ts";
import { Recording } from "../simulate/recording.ts";
import { recordStored } from "../simulate/stored-recording.ts";
import { playTimeline } from "../what-if.ts";
import { readBundle } from "./bundle-file.ts";
import { Progress } from "./progress.ts";
import { nowOf, sinceMsOf } from "./since-option.ts";
import type { Terminal } from "./terminal.ts";
import { type RunEffects, type StoreOptions, withReading } from "./with-namespace.ts";

export type RecordedOptions = StoreOptions & {
  /** A bundle instead of the store. */
  readonly from?: string;
  readonly since?: string;
};

export type Recorded = {
  readonly recording: Recording;
  readonly partitions: number;
  readonly untilMs: number;
  readonly fromMs: number;
};

type Rules = { readonly was: PolicySet | null; readonly now: PolicySet; readonly effects: RunEffects };

/** `was` null: what was recorded, as it was. */
export async function recordedSides(
  terminal: Terminal,
  options: RecordedOptions,
  rules: Rules,
): Promise<{ was: ReportSide; now: ReportSide }> {
  const warmUpMs = Math.max(...[rules.was, rules.now].map((set) => longestWindowMs(set?.policies ?? [])));
  const recorded = await record(terminal, options, warmUpMs);
  const { recording } = recorded;
  if (recording.rows.length === 0)
    throw new BecalmError(
      "BECALM_NOT_FOUND",
      `${options.from ?? "The namespace"} has recorded no instances${options.since === undefined ? "" : ` since ${options.since}`}. Give an earlier --since, or another --namespace.`,
    );
  terminal.note(
    terminal.say(
      "Tried on the alerts that are recorded: those that made instances. What matched no policy then is not among them.",
      "基于已记录的告警（即产生了实例的告警）；当时没有匹配策略的告警不在其中。",
    ),
  );
  if (recording.lockedCount > 0)
    terminal.note(
      terminal.say(
        `${count(recording.lockedCount, "instance", "instances")} waited for the lock of a group then; here they are decided at once.`,
        `${recording.lockedCount} 个实例当时在等待收敛锁；此处立即决策。`,
      ),
    );
  const { was, now, effects } = rules;
  return {
    was: was === null ? asRecorded(recording) : playedWas(terminal, recorded, { set: was, effects }),
    now: playedNow(terminal, recorded, { set: now, effects }),
  };
}

function asRecorded(recording: Recording): ReportSide {
  return async (onRow) => {
    for (const row of recording.rows) await onRow(row);
    return { alerts: recording.timeline().alerts, ...recording.totals() };
  };
}

type Played = { readonly set: PolicySet; readonly effects: RunEffects };

function playedNow(terminal: Terminal, recorded: Recorded, { set, effects }: Played): ReportSide {
  return async (onRow) => {
    const { refused, ...summary } = await play(recorded, { set, effects }, onRow);
    if (refused > 0)
      terminal.note(
        terminal.say(
          `${count(refused, "answer", "answers")} of people met no instance that takes it under these rules.`,
          `${refused} 次人工答复在这些规则下没有可接受的实例。`,
        ),
      );
    return summary;
  };
}

/** Says how far the rules that are said to be in force make what was recorded. */
function playedWas(terminal: Terminal, recorded: Recorded, played: Played): ReportSide {
  return async (onRow) => {
    const rows = new Map(recorded.recording.rows.map((row) => [nameOfId(row.id), row]));
    let different = 0;
    const summary = await play(recorded, played, async (row) => {
      const was = rows.get(nameOfId(row.id));
      if (was === undefined || !isSameOutcome(was, row)) different += 1;
      rows.delete(nameOfId(row.id));
      await onRow(row);
    });
    different += rows.size;
    if (different > 0)
      terminal.note(
        terminal.noteColors.yellow(
          terminal.say(
            `${count(different, "instance was", "instances were")} decided in another way than --against decides: other rules were in force, or its assumptions do not hold. Leave --against out to compare with what was recorded.`,
            `${different} 个实例的结果与 --against 的决策不同：当时的规则不同，或假定不成立。去掉 --against 即可与记录比较。`,
          ),
        ),
      );
    return summary;
  };
}

function play(
  { recording, partitions, untilMs, fromMs }: Recorded,
  { set, effects }: Played,
  onRow: (row: OutcomeRow) => Promise<void>,
) {
  const assumptions = effects.kind === "simulated" ? { assumptions: effects.assumptions } : {};
  const timeline = recording.timeline(untilMs);
  return playTimeline({ timeline, rules: { set }, partitions, reportFromMs: fromMs, ...assumptions, onRow });
}

/** `warmUpMs`: what began so long before `--since` is read, too. */
async function record(terminal: Terminal, options: RecordedOptions, warmUpMs: number): Promise<Recorded> {
  if (options.from !== undefined) return recordBundle(terminal, { ...options, from: options.from }, warmUpMs);
  return withReading(options, "diff --from-store", async (reader) => {
    const { partitions } = reader.runtime;
    const untilMs = nowOf(reader.runtime);
    const fromMs = fromMsOf(options, untilMs);
    const recording = new Recording(fromMs);
    const progress = new Progress(terminal);
    await recordStored(reader, recording, {
      fromMs: Math.max(fromMs - warmUpMs, 0),
      nowMs: untilMs,
      onRead: (read) => progress.update(() => `${read.toLocaleString("en")} histories`),
      onUnreadable: (id, error) => unreadable(terminal, id, error),
    });
    progress.end();
    return { recording, partitions, untilMs, fromMs };
  });
}

function fromMsOf({ since }: RecordedOptions, untilMs: number): number {
  return since === undefined ? 0 : sinceMsOf(since, untilMs);
}

async function recordBundle(
  terminal: Terminal,
  options: RecordedOptions & { readonly from: string },
  warmUpMs: number,
): Promise<Recorded> {
  let [untilMs, fromMs, partitions] = [0, 0, PARTITION_COUNT_DEFAULT];
  let recording: Recording | null = null;
  const versions = new Map<string, CompiledPolicy>();
  for await (const { header, instance, policies } of readBundle(options.from)) {
    untilMs = header.virtualTimeMs ?? header.exportedAtMs;
    partitions = header.partitions ?? PARTITION_COUNT_DEFAULT;
    fromMs = fromMsOf(options, untilMs);
    recording ??= new Recording(fromMs);
    for (const [key, policy] of policies) if (!versions.has(key)) versions.set(key, compilePolicy(policy));
    try {
      const history = bundledHistory(instance, policies);
      if (history.birth.createdAtMs < fromMs - warmUpMs) continue;
      recording.add({ history, instance: checkpointOf(instance, versions), end: instance.ended ?? null });
    } catch (error) {
      if (!(error instanceof BecalmError)) throw error;
      unreadable(terminal, instance.id, error);
    }
  }
  return { recording: recording ?? new Recording(), partitions, untilMs, fromMs };
}

/** null: it is quarantined. */
function checkpointOf(
  { id, version, checkpoint }: BundledInstance,
  versions: ReadonlyMap<string, CompiledPolicy>,
): Instance | null {
  try {
    return decodeCheckpoint({ id, version, value: checkpoint }, versions);
  } catch (error) {
    if (error instanceof BecalmError) return null;
    throw error;
  }
}

function unreadable(terminal: Terminal, id: string, error: BecalmError): void {
  terminal.note(
    terminal.noteColors.yellow(
      terminal.say(`${id} is left out: ${error.code}: ${error.message}`, `略去 ${id}：${error.code}: ${error.message}`),
    ),
  );
}

/** An alert that began so long before may still stand in a group that decides later ones. */
function longestWindowMs(policies: readonly Policy[]): number {
  return Math.max(0, ...policies.map(({ converge }) => converge?.maxWindowMs ?? converge?.windowMs ?? 0));
}
