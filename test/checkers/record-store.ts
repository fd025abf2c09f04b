import { decodeEffect } from "../../src/instance/effect.ts";
import type { Policy } from "../../src/policy/policy.ts";
import type { Store } from "../../src/stores/store.ts";
import type { Recording } from "./recording.ts";

const ROWS_MAX = 1_000_000;
const PAGE_COUNT = 1_000;

/** What an open store holds. */
export async function recordStore(
  store: Store,
): Promise<Pick<Recording, "instances" | "policies" | "timers" | "effects">> {
  const instances: Recording["instances"][number][] = [];
  let cursor: string | undefined;
  do {
    const page = await store.list({ limit: PAGE_COUNT, ...(cursor === undefined ? {} : { cursor }) });
    const trails = page.instances.map(async ({ id, version, value }) => {
      return { id, version, value, lines: (await store.history(id)) ?? [] };
    });
    instances.push(...(await Promise.all(trails)));
    cursor = page.next ?? undefined;
  } while (cursor !== undefined);
  const all = { untilMs: Number.MAX_SAFE_INTEGER, limit: ROWS_MAX };
  const work = await store.timers({ lane: "work", ...all });
  const approval = await store.timers({ lane: "approval", ...all });
  const policies = await store.policies();
  return {
    instances,
    policies: new Map(policies.map(({ key, value }) => [key, JSON.parse(value) as Policy])),
    timers: [...work, ...approval],
    effects: (await store.listEffects({ limit: ROWS_MAX })).map(decodeEffect),
  };
}
