/** Trails as checkers read them: decoded once and stepped through the machine once, however many checkers look. */
import { birthOf, decodeHistory } from "../../src/instance/audit.ts";
import type { Birth, History } from "../../src/instance/audit-types.ts";
import { messageOf } from "../../src/model/errors.ts";
import { policyKey } from "../../src/policy/policy-versions.ts";
import { type ReplayedStep, replay } from "../../src/simulate/replay.ts";
import type { Recording, StoredTrail } from "./recording.ts";

export type Trail = {
  readonly stored: StoredTrail;
  readonly birth: Birth | null;
  readonly history: History | null;
  /** Empty if the history cannot be stepped through. */
  readonly steps: readonly ReplayedStep[];
  /** Why it cannot be read or stepped through; null: it can. */
  readonly fault: string | null;
};

export type Evidence = Recording & { readonly trails: readonly Trail[] };

export function evidenceOf(recording: Recording): Evidence {
  return { ...recording, trails: recording.instances.map((stored) => trailOf(stored, recording)) };
}

function trailOf(stored: StoredTrail, { policies }: Recording): Trail {
  let birth: Birth | null = null;
  let history: History | null = null;
  try {
    birth = birthOf(stored.id, stored.lines);
    const policy = policies.get(policyKey({ name: birth.policy, version: birth.policyVersion }));
    if (policy === undefined) throw new Error(`policy ${birth.policy}@${birth.policyVersion} is not stored`);
    history = decodeHistory(stored.id, stored.lines, policy);
    return { stored, birth, history, steps: replay(history).steps, fault: null };
  } catch (error) {
    return { stored, birth, history, steps: [], fault: messageOf(error) };
  }
}

/** A step and its place among all commits; without a known order, its time. */
export type PlacedStep = {
  readonly trail: Trail;
  readonly step: ReplayedStep;
  /** Among the steps of its trail. */
  readonly index: number;
  readonly place: number;
};

/** All steps in the order of their commits, and in each commit in the order in which it took its instances. */
export function stepsInOrder({ trails, commitOrder }: Evidence): PlacedStep[] {
  const placeOf = ({ stored }: Trail, { entry }: ReplayedStep) =>
    commitOrder?.get(`${stored.id} ${entry.version}`) ?? entry.atMs;
  const placed = trails.flatMap((trail) =>
    trail.steps.map((step, index) => ({ trail, step, index, place: placeOf(trail, step) })),
  );
  return placed.sort((a, b) => a.place - b.place || a.step.entry.atMs - b.step.entry.atMs || a.index - b.index);
}
