/** The read side: alerts as Alertmanager lists them, and the convergence groups that they belong to. Pure. */
import { compileMatchers, type Matcher } from "../../policy/matcher.ts";
import type { CompiledPolicy } from "../../policy/policy-versions.ts";
import type { AlertQuery } from "./alert-query.ts";
import { type ShownSilence, silenceState } from "./silence-rules.ts";
import type { ViewedAlert } from "./view.ts";

export type ActiveSilence = { readonly id: string; readonly matches: (labels: ViewedAlert["labels"]) => boolean };

/** Silences that hold now, ready to be asked. */
export function activeSilences(silences: readonly ShownSilence[], nowMs: number): ActiveSilence[] {
  return silences
    .filter((silence) => silenceState(silence, nowMs) === "active")
    .map(({ id, match }) => ({ id, matches: compileMatchers(match as Matcher[]) }));
}

export type ListedAlert = {
  readonly alert: ViewedAlert;
  readonly policies: readonly CompiledPolicy[];
  readonly json: object;
};

export type World = {
  readonly policies: readonly CompiledPolicy[];
  readonly silences: readonly ActiveSilence[];
};

/** The alerts that a query lets pass, each with the policies that match it. */
export function listAlerts(
  alerts: readonly ViewedAlert[],
  { policies, silences }: World,
  query: AlertQuery,
): ListedAlert[] {
  return alerts.flatMap((alert) => {
    if (!query.takesLabels(alert.labels)) return [];
    const own = policies.filter(({ matches }) => matches(alert.labels));
    if (query.receiver !== null && !own.some(({ policy }) => query.receiver?.(policy.name))) return [];
    const silencedBy = silences.filter(({ matches }) => matches(alert.labels)).map(({ id }) => id);
    if (silencedBy.length > 0 ? !query.silenced : !query.active) return [];
    return [{ alert, policies: own, json: alertJson(alert, own, silencedBy) }];
  });
}

function alertJson(alert: ViewedAlert, policies: readonly CompiledPolicy[], silencedBy: readonly string[]): object {
  return {
    annotations: alert.annotations,
    endsAt: new Date(alert.endsAtMs).toISOString(),
    fingerprint: alert.fingerprint,
    receivers: policies.map(({ policy }) => ({ name: policy.name })),
    startsAt: new Date(alert.startsAtMs).toISOString(),
    status: { inhibitedBy: [], silencedBy, state: silencedBy.length > 0 ? "suppressed" : "active" },
    updatedAt: new Date(alert.updatedAtMs).toISOString(),
    ...(alert.generatorURL === null ? {} : { generatorURL: alert.generatorURL }),
    labels: alert.labels,
  };
}

type Group = {
  readonly labels: Readonly<Record<string, string>>;
  readonly policy: string;
  readonly alerts: ListedAlert[];
};

/** One group for each policy and the alert's own values of its dimensions; without a rule, one for the policy. */
export function groupsOf(listed: readonly ListedAlert[], takesPolicy: (name: string) => boolean): object[] {
  const groups = new Map<string, Group>();
  for (const one of listed) {
    const { alert, policies } = one;
    for (const { policy } of policies) {
      if (!takesPolicy(policy.name)) continue;
      const by = policy.converge?.by ?? [];
      const values = by.map((name) => [name, ownValue(alert.labels, name)] as const);
      const key = JSON.stringify([policy.name, values]);
      let group = groups.get(key);
      if (group === undefined) {
        group = {
          labels: Object.fromEntries(values.filter(([, value]) => value !== "")),
          policy: policy.name,
          alerts: [],
        };
        groups.set(key, group);
      }
      group.alerts.push(one);
    }
  }
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, { labels, policy, alerts }]) => ({
      alerts: alerts.sort((a, b) => compareLabels(a.alert.labels, b.alert.labels)).map(({ json }) => json),
      labels,
      receiver: { name: policy },
    }));
}

type Labels = ViewedAlert["labels"];

/** Alertmanager's order inside a group: by job, then by instance, then the fewer labels first, then by their values. */
function compareLabels(a: Labels, b: Labels): number {
  for (const name of ["job", "instance"]) {
    const [left, right] = [ownValue(a, name), ownValue(b, name)];
    // A missing one comes last.
    if (left !== right) return left === "" ? 1 : right === "" ? -1 : compareTexts(left, right);
  }
  const [names, others] = [Object.keys(a), Object.keys(b)];
  if (names.length !== others.length) return names.length - others.length;
  for (const name of [...new Set([...names, ...others])].sort()) {
    if (!Object.hasOwn(a, name)) return -1;
    if (!Object.hasOwn(b, name)) return 1;
    const order = compareTexts(ownValue(a, name), ownValue(b, name));
    if (order !== 0) return order;
  }
  return 0;
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function ownValue(labels: ViewedAlert["labels"], name: string): string {
  return Object.hasOwn(labels, name) ? (labels[name] as string) : "";
}
