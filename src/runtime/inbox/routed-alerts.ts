/** From the alerts of a request to the commands that they mean: one for each policy that matches an alert. */
import type { Alert } from "../../model/alert.ts";
import { BecalmError } from "../../model/errors.ts";
import type { StoredInstance } from "../../stores/store.ts";
import { type Address, type Envelope, NOTHING } from "../commit/batch.ts";
import { type ReadInstance, tryInstance } from "../commit/read-instance.ts";
import type { Runtime } from "../runtime.ts";
import { earlierIds, type Route, routesOf, silenceAt } from "./routing.ts";

/** What one policy makes of one alert. */
export type RoutedAlert = {
  /** Index of its alert. */
  readonly alert: number;
  readonly id: string;
  readonly policy: string;
  /** null: an earlier version of the policy has made the instance already, and the alert still fires. */
  readonly envelope: Envelope | null;
};

export type RoutedAlerts = {
  /** In the order of the alerts, and for each in the order of the policies. */
  readonly routed: readonly RoutedAlert[];
  /** Indexes of alerts that no policy matches. */
  readonly unmatched: readonly number[];
  /** Alerts with an instance that cannot be read: nothing is made of them. */
  readonly unreadable: ReadonlyMap<number, BecalmError>;
};

/** An instance that an earlier version of a route's policy has made of the alert. */
type Earlier = { readonly id: string; readonly partition: number; readonly instance: ReadInstance };

/** What the alerts mean. null: not an alert, it is passed over. */
export async function routeAlerts(
  runtime: Runtime,
  alerts: readonly (Alert | null)[],
  { atMs }: { atMs: number },
): Promise<RoutedAlerts> {
  const routesOfAll = alerts.map((alert) => (alert === null ? [] : routesOf(runtime, alert)));
  // No policy has an earlier version, as in most namespaces.
  const isFirstVersion = runtime.versions.size <= runtime.inForce.policies.length;
  const earlier = isFirstVersion ? null : await findEarlier(runtime, alerts, routesOfAll);
  const routed: RoutedAlert[] = [];
  const unmatched: number[] = [];
  const unreadable = new Map<number, BecalmError>();
  for (let index = 0; index < alerts.length; index += 1) {
    const alert = alerts[index] as Alert | null;
    const routes = routesOfAll[index] as readonly Route[];
    if (alert === null) continue;
    if (routes.length === 0) unmatched.push(index);
    const broken = earlier === null ? null : brokenOf(earlier, routes);
    if (broken !== null) unreadable.set(index, broken);
    else
      for (let place = 0; place < routes.length; place += 1) {
        const route = routes[place] as Route;
        routed.push(routedAlert(runtime, alert, { order: [index, place], route, atMs, earlier: earlier?.get(route) }));
      }
  }
  return { routed, unmatched, unreadable };
}

function brokenOf(earlier: ReadonlyMap<Route, Earlier>, routes: readonly Route[]): BecalmError | null {
  for (const route of routes) {
    const instance = earlier.get(route)?.instance;
    if (instance instanceof BecalmError) return instance;
  }
  return null;
}

type Circumstances = {
  /** Of the alert in its request, and of the policy among those that match. */
  readonly order: readonly [number, number];
  readonly route: Route;
  readonly atMs: number;
  readonly earlier: Earlier | undefined;
};

function routedAlert(runtime: Runtime, alert: Alert, { order, route, atMs, earlier }: Circumstances): RoutedAlert {
  const policy = route.policy.policy.name;
  const id = earlier?.id ?? route.id;
  const address = earlier === undefined ? route.address : addressOf(earlier);
  if (alert.status === "resolved") {
    const command = { type: "event" as const, id, event: { type: "alert.resolved" as const, atMs } };
    return { alert: order[0], id, policy, envelope: { address, command, consumes: NOTHING, lastSeen: null } };
  }
  if (earlier !== undefined) return { alert: order[0], id, policy, envelope: null };
  const silence = silenceAt(runtime.inForce.silences, alert.labels, atMs);
  const command = { type: "create" as const, id, atMs, alert, policy: route.policy, silence, order };
  return { alert: order[0], id, policy, envelope: { address, command, consumes: NOTHING, lastSeen: null } };
}

function addressOf({ partition, instance }: Earlier): Address {
  return { partition, groupId: instance instanceof Error ? null : instance.groupId };
}

/** One read a partition for the whole request. */
async function findEarlier(
  runtime: Runtime,
  alerts: readonly (Alert | null)[],
  routesOfAll: readonly (readonly Route[])[],
): Promise<Map<Route, Earlier>> {
  const candidates = routesOfAll.flatMap((routes, index) =>
    routes.map((route) => ({ route, places: earlierIds(runtime, route, alerts[index] as Alert) })),
  );
  const stored = await storedAt(
    runtime,
    candidates.flatMap(({ places }) => places),
  );
  const found = new Map<Route, Earlier>();
  for (const { route, places } of candidates) {
    const place = places.find(({ id }) => stored.has(id));
    if (place === undefined) continue;
    const instance = await tryInstance(runtime, stored.get(place.id) as StoredInstance);
    found.set(route, { id: place.id, partition: place.partition, instance });
  }
  return found;
}

async function storedAt(
  runtime: Runtime,
  places: readonly { id: string; partition: number }[],
): Promise<ReadonlyMap<string, StoredInstance>> {
  const idsOf = new Map<number, string[]>();
  for (const { id, partition } of places) {
    const ids = idsOf.get(partition);
    if (ids === undefined) idsOf.set(partition, [id]);
    else ids.push(id);
  }
  const loaded = await Promise.all(
    [...idsOf].map(([partition, instanceIds]) => runtime.store.load({ partition, groupId: null, instanceIds })),
  );
  return new Map(loaded.flatMap(({ instances }) => [...instances]));
}
