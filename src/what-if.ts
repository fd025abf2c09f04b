/**
 * What if: a timeline under other rules, in a memory of its own. The server, the command and a shadow ask here; nothing
 * outside hears of it.
 */
import { compose } from "./compose.ts";
import { ALL_SUCCEED, type Assumptions } from "./effects/simulated-effects.ts";
import type { Policy, PolicySet } from "./policy/policy.ts";
import { compilePolicy, policyKey } from "./policy/policy-versions.ts";
import { type FileSummary, type InstanceLine, reportFile } from "./simulate/instance-rows.ts";
import type { Timeline } from "./simulate/timeline.ts";
import { TimelineRun } from "./simulate/timeline-run.ts";
import { memoryStore } from "./stores/memory/memory-store.ts";

export type Playing = {
  readonly timeline: Timeline;
  /** A policy file's content; or the versions that a recording has, each for what was made under it. */
  readonly rules: { readonly set: PolicySet } | { readonly asRecorded: Iterable<Policy> };
  readonly partitions: number;
  readonly assumptions?: Assumptions;
  readonly reportFromMs?: number;
  readonly runsOn?: boolean;
  readonly between?: () => Promise<void> | void;
  readonly onRow: (row: InstanceLine) => Promise<void> | void;
};

export type PlayedSummary = FileSummary & {
  /** What people sent that no instance took under these rules. */
  readonly refused: number;
};

/** Plays a timeline and reports what became of each instance. */
export async function playTimeline(playing: Playing): Promise<PlayedSummary> {
  const { timeline, rules, partitions, assumptions = ALL_SUCCEED, onRow, ...options } = playing;
  await using store = memoryStore();
  const isAsRecorded = "asRecorded" in rules;
  const policies = isAsRecorded ? undefined : rules.set;
  const runtime = await compose({ store, mode: "simulated", partitions, policies });
  if (isAsRecorded)
    for (const policy of rules.asRecorded) runtime.versions.set(policyKey(policy), compilePolicy(policy));
  const run = new TimelineRun(runtime, timeline, { assumptions, isAsRecorded, ...options });
  const played = await run.play();
  const summary = await reportFile(run.instances, played, {
    onLine: async (row) => onRow(row),
    onQuarantined: (error) => {
      throw error;
    },
  });
  return { ...summary, refused: played.refused };
}
