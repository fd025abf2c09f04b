/** From the alerts of a request to the work that they mean: one piece for each policy that matches an alert. */
import type { Alert } from "../core/alert.ts";
import type { BecalmError } from "../core/errors.ts";
import type { StoredInstance } from "../ports/store.ts";
import type { Work } from "./batch-read.ts";
import type { Address } from "./conflicts.ts";
import { type ReadInstance, tryInstance } from "./read-instance.ts";
import { earlierIds, type Route, routesOf, silenceAt } from "./routing.ts";
import type { World } from "./world.ts";

export type Intake = {
  readonly id: string;
  readonly policy: string;
  readonly address: Address;
  /** null: an earlier version of the policy has made the instance already, and the alert fires still. */
  readonly work: Work | null;
};

/** An instance that an earlier version of a route's policy has made of the alert. */
type Earlier = { readonly id: string; readonly partition: number; readonly instance: ReadInstance };

/** What each alert means, in the order of the alerts; the error of an instance that it belongs to and that cannot be read. */
export async function intakesOf(
  world: World,
  alerts: readonly Alert[],
  { atMs }: { atMs: number },
): Promise<(Intake[] | BecalmError)[]> {
  const routed = alerts.map((alert) => routesOf(world, alert));
  const earlier = await findEarlier(world, alerts, routed);
  return routed.map((routes, index) => {
    const intakes: Intake[] = [];
    for (const [position, route] of routes.entries()) {
      const found = earlier?.get(route);
      if (found !== undefined && found.instance instanceof Error) return found.instance;
      intakes.push(intakeOf(world, alerts[index] as Alert, { route, earlier: found, atMs, order: [index, position] }));
    }
    return intakes;
  });
}

type Circumstances = {
  readonly route: Route;
  readonly earlier: Earlier | undefined;
  readonly atMs: number;
  /** Position of the alert in its request, then that of the policy. */
  readonly order: readonly number[];
};

function intakeOf(world: World, alert: Alert, { route, earlier, atMs, order }: Circumstances): Intake {
  const policy = route.policy.policy.name;
  const id = earlier?.id ?? route.id;
  const address = earlier === undefined ? route.address : addressOf(earlier);
  if (alert.status === "resolved") {
    const event = { type: "alert.resolved" as const, atMs };
    return { id, policy, address, work: { command: { type: "event", id, event } } };
  }
  if (earlier !== undefined) return { id, policy, address, work: null };
  const silence = silenceAt(world.silences, alert.labels, atMs);
  return {
    id,
    policy,
    address,
    work: { command: { type: "create", id, atMs, alert, policy: route.policy, silence, order } },
  };
}

function addressOf({ partition, instance }: Earlier): Address {
  return { partition, groupId: instance instanceof Error ? null : instance.groupId };
}

/** null: no policy has an earlier version, as in most namespaces. Otherwise one read a partition for the whole request. */
async function findEarlier(
  world: World,
  alerts: readonly Alert[],
  routed: readonly (readonly Route[])[],
): Promise<Map<Route, Earlier> | null> {
  if (world.versions.size <= world.current.length) return null;
  const candidates = routed.flatMap((routes, index) =>
    routes.map((route) => ({ route, places: earlierIds(world, route, alerts[index] as Alert) })),
  );
  const stored = await storedAt(
    world,
    candidates.flatMap(({ places }) => places),
  );
  const found = new Map<Route, Earlier>();
  for (const { route, places } of candidates) {
    const place = places.find(({ id }) => stored.has(id));
    if (place === undefined) continue;
    found.set(route, { ...place, instance: await tryInstance(world, stored.get(place.id) as StoredInstance) });
  }
  return found;
}

async function storedAt(
  world: World,
  places: readonly { id: string; partition: number }[],
): Promise<ReadonlyMap<string, StoredInstance>> {
  const idsOf = new Map<number, string[]>();
  for (const { id, partition } of places) {
    const ids = idsOf.get(partition);
    if (ids === undefined) idsOf.set(partition, [id]);
    else ids.push(id);
  }
  const loaded = await Promise.all(
    [...idsOf].map(([partition, instanceIds]) => world.store.load({ partition, groupId: null, instanceIds })),
  );
  return new Map(loaded.flatMap(({ instances }) => [...instances]));
}
