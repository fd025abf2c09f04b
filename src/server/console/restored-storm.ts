/** After a start: the groups of the last hours as the store knows them, so that the console shows what is open before anything new comes. */
import type { Instance } from "../../instance/checkpoint.ts";
import type { InstanceReader } from "../../runtime/instance-reader.ts";
import { byGroup, goingOn } from "../instances/group-rows.ts";
import type { RestoredGroup, StormView } from "./storm-view.ts";

const SINCE_MS = 3 * 3_600_000;
const LOOKED_AT_COUNT_MAX = 10_000;

export async function restoreStorm(storm: StormView, reader: InstanceReader, nowMs: number): Promise<void> {
  const { instances } = await goingOn(reader, { since: nowMs - SINCE_MS }, LOOKED_AT_COUNT_MAX);
  const groups = byGroup(instances).flatMap(({ id, instances: members }) =>
    id === null ? [] : [groupOf(id, members)],
  );
  storm.restore(groups.sort((a, b) => a.atMs - b.atMs));
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
