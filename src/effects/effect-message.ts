import type { Notice } from "../instance/audit-types.ts";
import type { Alert } from "../model/alert.ts";
import type { EffectRequest } from "./effect-port.ts";

/** An alert as a target outside gets it: times as RFC 3339 in UTC. */
export type PlainAlert = {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string | null;
  readonly status: "firing" | "resolved";
  readonly fingerprint: string;
  readonly generatorURL: string | null;
};

export type PlainSummary = {
  readonly group: string;
  /** The instance that opened the group. */
  readonly opener: string;
  /** How many instances were skipped. */
  readonly skipped: number;
  /** Ids of some of them. */
  readonly sample: readonly string[];
  readonly openedAt: string;
  readonly endsAt: string;
};

/** `instance` is the one to approve or deny, `dueAt` when nobody can any more. */
export type PlainApproval = { readonly group: string | null; readonly instance: string; readonly dueAt: string };

/** What the attempt is about: exactly one of the three. */
export type EffectSubject =
  | { readonly alert: PlainAlert | null }
  | { readonly summary: PlainSummary }
  | { readonly approval: PlainApproval };

/** What a webhook gets as its body and a program on its standard input (docs/actions.md). */
export type EffectMessage = Pick<EffectRequest, "kind" | "effectId" | "attempt" | "policy" | "instance"> &
  EffectSubject;

export function effectMessage(request: EffectRequest): EffectMessage {
  const { kind, effectId, attempt, policy, instance } = request;
  return { kind, effectId, attempt, policy, instance, ...effectSubject(request) };
}

export function effectSubject({ alert, notice }: EffectRequest): EffectSubject {
  if (notice === null) return { alert: alert === null ? null : plainAlert(alert) };
  return notice.kind === "summary" ? { summary: plainSummary(notice) } : { approval: plainApproval(notice) };
}

function plainAlert(alert: Alert): PlainAlert {
  const { labels, annotations, startsAtMs, endsAtMs, status, fingerprint, generatorURL } = alert;
  const endsAt = endsAtMs === null ? null : isoTime(endsAtMs);
  return { labels, annotations, startsAt: isoTime(startsAtMs), endsAt, status, fingerprint, generatorURL };
}

function plainSummary(notice: Notice & { kind: "summary" }): PlainSummary {
  const { group, opener, skipped, sample, openedAtMs, endsAtMs } = notice;
  return { group, opener, skipped, sample, openedAt: isoTime(openedAtMs), endsAt: isoTime(endsAtMs) };
}

function plainApproval(notice: Notice & { kind: "approval-request" }): PlainApproval {
  return { group: notice.group, instance: notice.instance, dueAt: isoTime(notice.dueAtMs) };
}

function isoTime(atMs: number): string {
  return new Date(atMs).toISOString();
}
