/** What `audit verify` finds in a namespace beside the trails: groups and records that its instances cannot have. */
import { episodeFaults } from "../../src/cli/episode-checks.ts";
import { groupFaults } from "../../src/cli/group-checks.ts";
import { SeenGroups } from "../../src/cli/seen-groups.ts";
import { compose } from "../../src/compose.ts";
import type { Instance } from "../../src/instance/checkpoint.ts";
import { BecalmError } from "../../src/model/errors.ts";
import { tryInstance } from "../../src/runtime/commit/read-instance.ts";
import { InstanceReader } from "../../src/runtime/instance-reader.ts";
import type { Store } from "../../src/stores/store.ts";

/** `store`: open already, or of its own. */
export async function faultsIn(store: Store): Promise<string[]> {
  const reader = new InstanceReader(await compose({ store }));
  const { runtime } = reader;
  const seen = new SeenGroups(runtime.partitions);
  const held: { instance: Instance; lines: readonly string[] }[] = [];
  for (let cursor: string | null | undefined; cursor !== null; ) {
    const from: { cursor?: string } = cursor === undefined ? {} : { cursor };
    const page = await store.list({ limit: 1_000, ...from });
    for (const stored of page.instances) {
      const read = await tryInstance(runtime, stored);
      const lines = (await store.history(stored.id)) ?? [];
      if (read instanceof BecalmError) seen.doubt(stored.id, null, lines[0]);
      else {
        seen.add(read);
        held.push({ instance: read, lines });
      }
    }
    cursor = page.next;
  }
  const episodes = [...(await episodeFaults(runtime, held))].map(([id, what]) => `${id} ${what}`);
  return [...episodes, ...(await groupFaults(reader, seen)).map(({ group, what }) => `${group} ${what}`)];
}
