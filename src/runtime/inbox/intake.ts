/** From the alerts of a request to the work that they mean: one piece for each policy that matches an alert. */
import type { Alert } from "../../model/alert.ts";
import { BecalmError } from "../../model/errors.ts";
import type { StoredInstance } from "../../stores/store.ts";
import type { Work } from "../commit/batch-read.ts";
import type { Address } from "../commit/conflicts.ts";
import { type ReadInstance, tryInstance } from "../commit/read-instance.ts";
import type { World } from "../world.ts";
import { earlierIds, type Route, routesOf, silenceAt } from "./routing.ts";

export type Intake = {
  /** Index of its alert. */
  readonly alert: number;
  readonly id: string;
  readonly policy: string;
  readonly address: Address;
  /** null: an earlier version of the policy has made the instance already, and the alert fires still. */
  readonly work: Work | null;
};

export type Intakes = {
  /** In the order of the alerts, and for each in the order of the policies. */
  readonly intakes: readonly Intake[];
  /** Indexes of alerts that no policy matches. */
  readonly unmatched: readonly number[];
  /** Alerts of whose instances one cannot be read: nothing is made of them. */
  readonly unreadable: ReadonlyMap<number, BecalmError>;
};

/** An instance that an earlier version of a route's policy has made of the alert. */
type Earlier = { readonly id: string; readonly partition: number; readonly instance: ReadInstance };

/** What the alerts mean. null: not an alert, it is passed over. */
export async function intakesOf(
  world: World,
  alerts: readonly (Alert | null)[],
  { atMs }: { atMs: number },
): Promise<Intakes> {
  const routed = alerts.map((alert) => (alert === null ? [] : routesOf(world, alert)));
  const earlier = await findEarlier(world, alerts, routed);
  const intakes: Intake[] = [];
  const unmatched: number[] = [];
  const unreadable = new Map<number, BecalmError>();
  for (const [index, routes] of routed.entries()) {
    const alert = alerts[index] as Alert | null;
    if (alert === null) continue;
    if (routes.length === 0) unmatched.push(index);
    const broken = earlier === null ? null : brokenOf(earlier, routes);
    if (broken !== null) unreadable.set(index, broken);
    else
      for (const [place, route] of routes.entries())
        intakes.push(intakeOf(world, alert, { index, place, route, atMs, earlier: earlier?.get(route) }));
  }
  return { intakes, unmatched, unreadable };
}

function brokenOf(earlier: ReadonlyMap<Route, Earlier>, routes: readonly Route[]): BecalmError | null {
  for (const route of routes) {
    const instance = earlier.get(route)?.instance;
    if (instance instanceof BecalmError) return instance;
  }
  return null;
}

type Circumstances = {
  /** Of the alert in its request. */
  readonly index: number;
  /** Of the policy among those that match. */
  readonly place: number;
  readonly route: Route;
  readonly atMs: number;
  readonly earlier: Earlier | undefined;
};

function intakeOf(world: World, alert: Alert, { index, place, route, atMs, earlier }: Circumstances): Intake {
  const policy = route.policy.policy.name;
  const id = earlier?.id ?? route.id;
  const address = earlier === undefined ? route.address : addressOf(earlier);
  if (alert.status === "resolved") {
    const event = { type: "alert.resolved" as const, atMs };
    return { alert: index, id, policy, address, work: { command: { type: "event", id, event } } };
  }
  if (earlier !== undefined) return { alert: index, id, policy, address, work: null };
  const silence = silenceAt(world.silences, alert.labels, atMs);
  const order = [index, place];
  return {
    alert: index,
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
  alerts: readonly (Alert | null)[],
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
    const instance = await tryInstance(world, stored.get(place.id) as StoredInstance);
    found.set(route, { id: place.id, partition: place.partition, instance });
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
