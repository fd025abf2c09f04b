/** Raises a namespace that an earlier version made to the format of this one, while engines go on. */
import { openUnder } from "../instance/open-index.ts";
import { BecalmError } from "../model/errors.ts";
import { RAISED_FORMAT, type StoredInstance } from "../stores/store.ts";
import { tryInstance } from "./commit/read-instance.ts";
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
 * itself in its place. An engine of an earlier version does not: none may work on the namespace any longer.
 */
export async function raiseFormat(runtime: Runtime): Promise<Raised> {
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
  return { ...counts, format: await runtime.store.raiseFormat(RAISED_FORMAT) };
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
