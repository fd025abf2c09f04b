/** `POST /v1/alerts`: a webhook of Alertmanager or Grafana, or a plain array; says what became of each alert. */
import type { IngestResult } from "../../engine.ts";
import { Rejection } from "../../formats/rejection.ts";
import { readRequest } from "../../formats/request-line.ts";
import type { Receipt } from "../../model/receipt.ts";
import type { AlertView } from "../alertmanager/view.ts";
import { HttpRefusal, isForNow } from "../http/http-refusal.ts";
import { withJson } from "../http/json-body.ts";
import { jsonWith } from "../http/replies.ts";
import type { Route } from "../http/route.ts";
import type { BesideAlerts } from "../ingest-gate.ts";
import type { InstancePorts } from "./ports.ts";

export type AlertPorts = InstancePorts & {
  readonly ingest: (alerts: readonly Receipt[], beside: BesideAlerts) => Promise<IngestResult>;
  readonly view: AlertView;
};

/** What became of one alert of a body. */
type Fate = {
  readonly index: number;
  outcome: "taken" | "unmatched" | "rejected";
  fingerprint: string | null;
  readonly instances: { policy: string; id: string; outcome: string }[];
  code?: string;
  error?: string;
};

export function alertRoutes(ports: AlertPorts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/alerts",
      role: "operate",
      summary: "Takes alerts: Alertmanager's webhook (v4), Grafana's webhook, or an array of alerts",
      body: { what: "a webhook's object with `alerts`, or an array" },
      answers: {
        200: { what: "{ alerts, taken, unmatched, rejected, truncated }: what became of each alert" },
        400: { what: "the same; some alerts are refused, the others are taken" },
      },
      handle: (c) =>
        withJson(c, ports.bodies, async (body) => {
          const { fates, truncated } = await take(body, ports);
          const count = (outcome: Fate["outcome"]) => fates.filter((fate) => fate.outcome === outcome).length;
          const rejected = count("rejected");
          const counts = { taken: count("taken"), unmatched: count("unmatched"), rejected, truncated };
          return jsonWith(rejected > 0 ? 400 : 200, { alerts: fates, ...counts });
        }),
    },
  ];
}

/** `truncated`: how many alerts the sender left out, as it says. */
type Taken = { readonly fates: readonly Fate[]; readonly truncated: number };

async function take(body: unknown, { ingest, view, now }: AlertPorts): Promise<Taken> {
  const nowMs = now();
  const request = readRequest(body, { receivedAtMs: nowMs });
  if (request instanceof Rejection)
    throw new HttpRefusal(400, "BECALM_ALERT_INVALID", { why: `The body is refused: ${request.reason}.` });
  const refused = new Map(request.rejections.map(({ index, reason }) => [index, reason]));
  const count = request.alerts.length + request.rejections.length;
  const places = Array.from({ length: count }, (_, index) => index).filter((index) => !refused.has(index));
  const fates = Array.from({ length: count }, (_, index) => fateOf(index, refused.get(index)));
  const { truncated } = request;
  const { instances, unmatched, rejected } = await ingest(request.alerts, { malformed: refused.size, truncated });
  const fate = (alert: number) => fates[places[alert] as number] as Fate;
  for (const { alert, error } of rejected) {
    if (isForNow(error)) throw error;
    Object.assign(fate(alert), { outcome: "rejected", code: error.code, error: error.message });
  }
  for (const alert of unmatched) fate(alert).outcome = "unmatched";
  for (const { alert, policy, id, outcome } of instances) fate(alert).instances.push({ policy, id, outcome });
  for (const [index, alert] of request.alerts.entries()) {
    fate(index).fingerprint = alert.fingerprint;
    if (fate(index).outcome !== "rejected") view.put(sightingOf(alert, nowMs), nowMs);
  }
  return { fates, truncated };
}

function fateOf(index: number, reason: string | undefined): Fate {
  const fate: Fate = { index, outcome: "taken", fingerprint: null, instances: [] };
  if (reason === undefined) return fate;
  return { ...fate, outcome: "rejected", code: "BECALM_ALERT_INVALID", error: reason };
}

/** A webhook's alert fires until it is resolved: its end, if it has one, is not a lease. */
function sightingOf(alert: Receipt, nowMs: number): Parameters<AlertView["put"]>[0] {
  const isResolved = alert.status === "resolved";
  return { ...alert, endsAtMs: isResolved ? Math.min(alert.endsAtMs ?? nowMs, nowMs) : alert.endsAtMs };
}
