import type { EffectRequest } from "../../src/effects/effect-port.ts";
import type { Notice } from "../../src/instance/audit-types.ts";
import type { Alert } from "../../src/model/alert.ts";
import type { Action } from "../../src/policy/policy.ts";

export const INSTANCE = "03-0123456789abcdef01234567";
export const EFFECT_ID = `${INSTANCE}_2_1`;

export const alert: Alert = {
  labels: { alertname: "DiskFull", instance: "db-1", 磁盘: "数据" },
  annotations: { summary: 'disk "/" is full' },
  startsAtMs: Date.UTC(2026, 10, 23, 6, 49, 54, 757),
  endsAtMs: null,
  status: "firing",
  generatorURL: "http://prometheus.example/graph",
  fingerprint: "0011223344556677",
};

/** The alert as a target gets it. */
export const plainAlert = {
  labels: { alertname: "DiskFull", instance: "db-1", 磁盘: "数据" },
  annotations: { summary: 'disk "/" is full' },
  startsAt: "2026-11-23T06:49:54.757Z",
  endsAt: null,
  status: "firing",
  fingerprint: "0011223344556677",
  generatorURL: "http://prometheus.example/graph",
};

export const summary: Notice = {
  kind: "summary",
  group: "disk-cleanup:!sha1#00",
  opener: INSTANCE,
  skipped: 41,
  sample: [INSTANCE],
  openedAtMs: Date.UTC(2026, 10, 23, 6, 50),
  endsAtMs: Date.UTC(2026, 10, 23, 7, 0),
};

export const approval: Notice = {
  kind: "approval-request",
  group: null,
  instance: INSTANCE,
  dueAtMs: Date.UTC(2026, 10, 23, 7, 20),
};

export function requestOf(action: Action, changes: Partial<EffectRequest> = {}): EffectRequest {
  return {
    kind: "action",
    effectId: EFFECT_ID,
    attempt: 2,
    policy: "disk-cleanup",
    instance: INSTANCE,
    alert,
    notice: null,
    subject: null,
    action,
    signal: new AbortController().signal,
    ...changes,
  };
}

/** What a webhook or a program gets for `requestOf`. */
export const actionMessage = {
  kind: "action",
  effectId: EFFECT_ID,
  attempt: 2,
  policy: "disk-cleanup",
  instance: INSTANCE,
  alert: plainAlert,
};
