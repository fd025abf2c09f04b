/**
 * After a start: groups and answers of the last hours as the store knows them, so that the console shows them before
 * anything new comes.
 */
import type { Instance } from "../../instance/checkpoint.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import type { InstanceReader } from "../../runtime/instance-reader.ts";
import { byGroup, goingOn } from "../instances/group-rows.ts";
import type { Answered, AnswerLog } from "./answer-log.ts";
import type { RestoredGroup, StormView } from "./storm-view.ts";

const SINCE_MS = 3 * 3_600_000;
const LOOKED_AT_COUNT_MAX = 10_000;

/** Histories that are read to find out how approvals were answered. */
const ANSWERED_COUNT_MAX = 500;

export type Restored = { readonly storm: StormView; readonly answers: AnswerLog };

export async function restoreStorm({ storm, answers }: Restored, reader: InstanceReader, nowMs: number): Promise<void> {
  const { instances } = await goingOn(reader, { since: nowMs - SINCE_MS }, LOOKED_AT_COUNT_MAX);
  const groups = byGroup(instances).flatMap(({ id, instances: members }) =>
    id === null ? [] : [groupOf(id, members)],
  );
  storm.restore(groups.sort((a, b) => a.atMs - b.atMs));
  const answered = instances.filter((instance) => mayBeAnswered(reader, instance)).slice(0, ANSWERED_COUNT_MAX);
  const steps = await Promise.all(answered.map((instance) => answersOf(reader, instance)));
  answers.restore(steps.flat().sort((a, b) => a.atMs - b.atMs));
}

/** Only the history of an instance that has run says whether somebody granted it: those are read whose rule asks. */
function mayBeAnswered({ runtime }: InstanceReader, { reason, policy, policyVersion, snapshot }: Instance): boolean {
  if (reason === "approved" || reason === "approval_denied") return true;
  const rule = runtime.versions.get(policyKey({ name: policy, version: policyVersion }))?.policy.converge;
  return snapshot.context.attempt > 0 && (rule?.function === "defense" || rule?.function === "approve_when_failed");
}

async function answersOf(reader: InstanceReader, { id, policy, groupId }: Instance): Promise<Answered[]> {
  const { entries } = await reader.history(id).catch(() => ({ entries: [] }));
  return entries.map(({ event, atMs }) => ({ id, policy, group: groupId, atMs, event: event.type }));
}

function groupOf(id: string, members: readonly Instance[]): RestoredGroup {
  const newest = members[0] as Instance;
  const count = (is: (instance: Instance) => boolean) => members.filter(is).length;
  return {
    id,
    policy: newest.policy,
    newestId: newest.id,
    instances: members.length,
    executed: count(({ snapshot }) => snapshot.context.attempt > 0),
    skipped: count(({ snapshot }) => snapshot.state === "Skipped"),
    atMs: Math.max(...members.map(({ atMs }) => atMs)),
  };
}
