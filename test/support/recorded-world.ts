/** What a live engine's store has recorded, and what becomes of it when it is played again. */

import { compose } from "../../src/compose.ts";
import type { PolicySet } from "../../src/policy/policy.ts";
import { InstanceReader } from "../../src/runtime/instance-reader.ts";
import type { OutcomeRow } from "../../src/simulate/diff.ts";
import { Recording } from "../../src/simulate/recording.ts";
import { recordStored } from "../../src/simulate/stored-recording.ts";
import type { Store } from "../../src/stores/store.ts";
import { type PlayedSummary, playTimeline } from "../../src/what-if.ts";

export async function recordingOf(store: Store, nowMs: number): Promise<Recording> {
  const reader = new InstanceReader(await compose({ store }));
  const recording = new Recording();
  await recordStored(reader, recording, {
    fromMs: 0,
    nowMs,
    onUnreadable: (_, error) => {
      throw error;
    },
  });
  return recording;
}

export type Replayed = { readonly rows: readonly OutcomeRow[]; readonly summary: PlayedSummary };

/** `set` left out: under the versions that made the instances. */
export async function played(
  recording: Recording,
  { nowMs, partitions, set }: { nowMs: number; partitions: number; set?: PolicySet },
): Promise<Replayed> {
  const rows: OutcomeRow[] = [];
  const summary = await playTimeline({
    timeline: recording.timeline(nowMs),
    rules: set === undefined ? { asRecorded: recording.versions.values() } : { set },
    partitions,
    onRow: (row) => void rows.push(row),
  });
  return { rows, summary };
}

/** What of a row both sides must agree on, by id. */
export function outcomesOf(rows: readonly OutcomeRow[]): string[] {
  return rows
    .map(({ id, state, reason, attempts, path }) => `${id} ${state} ${reason} ${attempts} ${path.join(">")}`)
    .sort();
}
