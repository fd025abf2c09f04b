/**
 * From the receipts of a request to the commands that they mean: one for each policy that matches an alert, or has an
 * open episode of it.
 */
import type { Incoming } from "../../instance/receive.ts";
import { BecalmError } from "../../model/errors.ts";
import type { SilenceNote } from "../../model/instance-types.ts";
import { alertOfReceipt, type Receipt } from "../../model/receipt.ts";
import { RAISED_FORMAT } from "../../stores/store.ts";
import { type Envelope, NOTHING } from "../commit/batch.ts";
import type { Runtime } from "../runtime.ts";
import { type Claim, findClaims } from "./earlier-versions.ts";
import { type Route, type RoutingOptions, routesOf, silenceAt } from "./routing.ts";

/** What one policy makes of one receipt. */
export type RoutedAlert = {
  /** Index of its alert. */
  readonly alert: number;
  readonly policy: string;
  readonly envelope: Envelope;
  /**
   * Where it goes if its episode turns out to be over under the version of the policy that `envelope` goes to; null:
   * nowhere.
   */
  readonly fallback: Envelope | null;
};

export type RoutedAlerts = {
  /** In the order of the alerts, and for each in the order of the policies. */
  readonly routed: readonly RoutedAlert[];
  /** Indexes of alerts that no policy matches. */
  readonly unmatched: readonly number[];
  /** Alerts with an instance or a record that cannot be read: nothing is made of them. */
  readonly unreadable: ReadonlyMap<number, BecalmError>;
};

/** What the receipts mean. null: not a receipt, it is passed over. */
export async function routeAlerts(
  runtime: Runtime,
  receipts: readonly (Receipt | null)[],
  options: RoutingOptions,
): Promise<RoutedAlerts> {
  const routesOfAll = receipts.map((receipt) => (receipt === null ? [] : routesOf(runtime, receipt, options.atMs)));
  // No policy has an earlier version, and all instances have episodes, as in most namespaces.
  const isFirstVersion = runtime.versions.size <= runtime.inForce.policies.length;
  const hasNoEarlier = isFirstVersion && runtime.format.acting !== RAISED_FORMAT;
  const claimsOfAll = hasNoEarlier ? null : await findClaims(runtime, receipts, { routesOfAll, ...options });
  const routed: RoutedAlert[] = [];
  const unmatched: number[] = [];
  const unreadable = new Map<number, BecalmError>();
  for (let index = 0; index < receipts.length; index += 1) {
    const receipt = receipts[index] as Receipt | null;
    const routes = routesOfAll[index] as readonly Route[];
    if (receipt === null) continue;
    if (routes.length === 0) unmatched.push(index);
    const claims = claimsOfAll?.[index] ?? NO_CLAIMS;
    if (claims instanceof BecalmError) unreadable.set(index, claims);
    else if (routes.length + claims.length > 0)
      addRouted(routed, { runtime, receipt, routes, claims, index, atMs: options.atMs });
  }
  return { routed, unmatched, unreadable };
}

const NO_CLAIMS: readonly Claim[] = [];

type Circumstances = {
  readonly runtime: Runtime;
  readonly receipt: Receipt;
  readonly routes: readonly Route[];
  readonly claims: readonly Claim[];
  /** Of the receipt in its request. */
  readonly index: number;
  readonly atMs: number;
};

function addRouted(routed: RoutedAlert[], circumstances: Circumstances): void {
  const { runtime, receipt, routes, claims, index, atMs } = circumstances;
  const silence = silenceAt(runtime.inForce.silences, receipt.labels, atMs);
  for (let place = 0; place < routes.length; place += 1) {
    const route = routes[place] as Route;
    const own = envelopeOf(circumstances, { route, place, silence, mayBegin: true });
    const policy = route.policy.policy.name;
    const claim = claims.length === 0 ? undefined : claims.find((candidate) => candidate.policy === policy);
    if (claim === undefined) {
      routed.push({ alert: index, policy, envelope: own, fallback: null });
      continue;
    }
    const envelope = envelopeOf(circumstances, { route: claim.route, place, silence, mayBegin: false });
    routed.push({ alert: index, policy, envelope, fallback: own });
  }
  // Policies that match no longer, or are gone: their open episodes go on and end.
  let place = routes.length;
  for (const { policy, route } of claims) {
    if (routes.some((candidate) => candidate.policy.policy.name === policy)) continue;
    const envelope = envelopeOf(circumstances, { route, place, silence, mayBegin: false });
    routed.push({ alert: index, policy, envelope, fallback: null });
    place += 1;
  }
}

type Way = {
  readonly route: Route;
  /** Of the policy among those of the receipt. */
  readonly place: number;
  readonly silence: SilenceNote | null;
  readonly mayBegin: boolean;
};

function envelopeOf(
  { runtime, receipt, index, atMs }: Circumstances,
  { route, place, silence, mayBegin }: Way,
): Envelope {
  const { policy, address, key, ownId } = route;
  const order = [index, place];
  const command: Incoming =
    runtime.format.acting < RAISED_FORMAT && mayBegin
      ? withoutEpisode(receipt, { route, atMs, silence, order })
      : { type: "receipt", order, atMs, receipt, policy, key, ownId, silence, mayBegin };
  return { address, command, consumes: NOTHING, lastSeen: null };
}

/**
 * As engines of earlier versions do, for they may work on the namespace too: the alert's start tells which instance is
 * meant.
 */
function withoutEpisode(
  receipt: Receipt,
  { route, atMs, silence, order }: { route: Route; atMs: number; silence: SilenceNote | null; order: number[] },
): Incoming {
  const { policy, ownId: id } = route;
  if (receipt.status === "resolved") return { type: "event", id, event: { type: "alert.resolved", atMs }, order };
  const alert = alertOfReceipt(receipt, Math.min(atMs, receipt.endsAtMs ?? atMs));
  return { type: "create", id, atMs, alert, policy, silence, order };
}
