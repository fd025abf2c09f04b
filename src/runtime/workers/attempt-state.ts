/**
 * Whether attempts go on: an instance that was cancelled, or moved by somebody else's result, needs nobody's attempt
 * any more.
 */
import { isUnderWay } from "../../instance/draft.ts";
import type { Effect } from "../../instance/effect.ts";
import { STOPS_KEY } from "../../instance/stops-record.ts";
import { BecalmError } from "../../model/errors.ts";
import { grouped } from "../../model/grouped.ts";
import { COMMIT_INSTANCE_COUNT_MAX } from "../../model/limits.ts";
import type { StoredInstance } from "../../stores/store.ts";
import { tryInstance } from "../commit/read-instance.ts";
import type { Runtime } from "../runtime.ts";

export type AttemptState = "current" | "over" | "quarantined";

/** Also learns which emergency stops hold in its partition. */
export async function attemptState(runtime: Runtime, effect: Effect): Promise<AttemptState> {
  const { partition, instanceId } = effect;
  const request = { partition, groupId: null, instanceIds: [instanceId], episodeKeys: [STOPS_KEY] };
  const loaded = await runtime.store.load(request);
  runtime.stops.learn(partition, loaded.episodes.get(STOPS_KEY) ?? null);
  return stateIn(runtime, effect, loaded.instances.get(instanceId));
}

/** Those of some effects whose attempts are over. One whose instance is gone is not: the store may have lost it, and get it again. */
export async function overAmong(runtime: Runtime, effects: readonly Effect[]): Promise<Effect[]> {
  const over: Effect[] = [];
  for (const [partition, own] of grouped(effects, ({ partition }) => partition)) {
    for (let from = 0; from < own.length; from += COMMIT_INSTANCE_COUNT_MAX) {
      const some = own.slice(from, from + COMMIT_INSTANCE_COUNT_MAX);
      const instanceIds = some.map(({ instanceId }) => instanceId);
      const { instances } = await runtime.store.load({ partition, groupId: null, instanceIds });
      for (const effect of some) {
        const stored = instances.get(effect.instanceId);
        if (stored !== undefined && (await stateIn(runtime, effect, stored)) === "over") over.push(effect);
      }
    }
  }
  return over;
}

async function stateIn(
  runtime: Runtime,
  { attempt }: Effect,
  stored: StoredInstance | undefined,
): Promise<AttemptState> {
  if (stored === undefined) return "over";
  const read = await tryInstance(runtime, stored);
  if (read instanceof BecalmError) return "quarantined";
  return isUnderWay(read, attempt) ? "current" : "over";
}
