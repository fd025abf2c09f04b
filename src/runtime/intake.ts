/** From an alert to the work that it means: one piece for each policy that matches it. */
import type { Alert } from "../core/alert.ts";
import type { Instance } from "../core/checkpoint.ts";
import type { EmissionOrder } from "../core/effect.ts";
import type { Address } from "./conflicts.ts";
import { readInstance } from "./read-instance.ts";
import { earlierIds, type Route, routesOf, silenceAt } from "./routing.ts";
import type { Work } from "./turn.ts";
import type { World } from "./world.ts";

export type Intake = {
  readonly id: string;
  readonly policy: string;
  readonly address: Address;
  /** null: an earlier version of the policy has made the instance already, and the alert fires still. */
  readonly work: Work | null;
};

/** `order`: position of the alert in its line; the policy's position is appended. */
export async function intakeOf(
  world: World,
  alert: Alert,
  { atMs, order = [] }: { atMs: number; order?: EmissionOrder },
): Promise<Intake[]> {
  const intakes: Intake[] = [];
  for (const [index, route] of routesOf(world, alert).entries()) {
    const policy = route.policy.policy.name;
    const earlier = hasEarlierVersions(world, route) ? await findEarlier(world, route, alert) : null;
    const id = earlier?.id ?? route.id;
    const address =
      earlier === null ? route.address : { partition: earlier.partition, groupId: earlier.instance.groupId };
    if (alert.status === "resolved") {
      intakes.push({
        id,
        policy,
        address,
        work: { command: { type: "event", id, event: { type: "alert.resolved", atMs } } },
      });
    } else if (earlier !== null) {
      intakes.push({ id, policy, address, work: null });
    } else {
      const silence = silenceAt(world.silences, alert.labels, atMs);
      intakes.push({
        id,
        policy,
        address,
        work: { command: { type: "create", id, atMs, alert, policy: route.policy, silence, order: [...order, index] } },
      });
    }
  }
  return intakes;
}

function hasEarlierVersions(world: World, { policy: { policy } }: Route): boolean {
  if (world.versions.size <= world.current.length) return false;
  for (const version of world.versions.values()) {
    if (version.policy.name === policy.name && version.policy.version !== policy.version) return true;
  }
  return false;
}

async function findEarlier(
  world: World,
  route: Route,
  alert: Alert,
): Promise<{ id: string; partition: number; instance: Instance } | null> {
  for (const { id, partition } of earlierIds(world, route, alert)) {
    const { instances } = await world.store.load({ partition, groupId: null, instanceIds: [id] });
    const stored = instances.get(id);
    if (stored !== undefined) return { id, partition, instance: await readInstance(world, stored) };
  }
  return null;
}
