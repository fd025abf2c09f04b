/** Raises a namespace that an earlier version made to the format of this one, while engines go on. */
import { openUnder } from "../instance/open-index.ts";
import { BecalmError } from "../model/errors.ts";
import type { LiveProcess } from "../stores/processes.ts";
import { RAISED_FORMAT, type StoredInstance } from "../stores/store.ts";
import { tryInstance } from "./commit/read-instance.ts";
import { readMembers } from "./owners/membership.ts";
import type { Runtime } from "./runtime.ts";

export type Raised = {
  readonly format: number;
  readonly instances: number;
  readonly open: number;
  readonly unreadable: number;
};

const PAGE_COUNT = 256;

/**
 * Puts every instance that is not at rest under what it is found under, and says then that all of them are. Engines of
 * this version keep those places in each commit, whatever the format, so an instance that moves on meanwhile puts
 * itself in its place. An engine of version 0.1.0 does not, and does not say that it lives: none may work on the
 * namespace any longer. The processes that are there go over by themselves (owners/upgrade.ts).
 *
 * @throws BECALM_NAMESPACE_FORMAT while a process lives that does not understand the format
 */
export async function raiseFormat(runtime: Runtime): Promise<Raised> {
  await requireAllUnderstand(runtime);
  const counts = { instances: 0, open: 0, unreadable: 0 };
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page = await runtime.store.list({ limit: PAGE_COUNT, ...(cursor === undefined ? {} : { cursor }) });
    for (const stored of page.instances) {
      counts.instances += 1;
      const found = await indexed(runtime, stored);
      if (found === "unreadable") counts.unreadable += 1;
      if (found === "open") counts.open += 1;
    }
    cursor = page.next;
  }
  // That took a while. Who comes after this finds the namespace raised.
  await requireAllUnderstand(runtime);
  return { ...counts, format: await runtime.store.raiseFormat(RAISED_FORMAT) };
}

/** Names of those that do not understand a format. Who cannot be understood is one of them. */
export function namesBehind(living: readonly LiveProcess[], format: number): readonly string[] {
  return living.flatMap((process) => {
    const [member] = readMembers([process]);
    if (member === undefined) return process.id;
    const { name, knows, format: acting } = member.record;
    return (knows ?? acting) >= format ? [] : name;
  });
}

async function requireAllUnderstand({ store }: Runtime): Promise<void> {
  const behind = namesBehind((await store.processes?.living()) ?? [], RAISED_FORMAT);
  if (behind.length === 0) return;
  throw new BecalmError(
    "BECALM_NAMESPACE_FORMAT",
    `The namespace was not raised: ${behind.join(", ")} would not understand format ${RAISED_FORMAT}. Bring all processes to this version first.`,
    { details: { behind, format: RAISED_FORMAT } },
  );
}

async function indexed(runtime: Runtime, stored: StoredInstance): Promise<"open" | "at rest" | "unreadable"> {
  const read = await tryInstance(runtime, stored);
  if (read instanceof BecalmError) return "unreadable";
  const places = openUnder(read);
  if (places.length === 0) return "at rest";
  const { id, version, createdAtMs } = read;
  // One that has changed meanwhile was put in its place by that commit.
  await runtime.store.indexOpen({ id, version, createdAtMs, openUnder: places });
  return "open";
}
