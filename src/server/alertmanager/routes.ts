/**
 * Alertmanager's API v2. What differs from the real one on purpose is a table in docs/http-api.md, and a test compares
 * the two.
 */
import { randomUUID } from "node:crypto";
import type { IngestResult } from "../../engine.ts";
import type { AlertInput } from "../../formats/alert-input.ts";
import { messageOf } from "../../model/errors.ts";
import type { CompiledPolicy } from "../../policy/policy-versions.ts";
import { isForNow } from "../http/http-refusal.ts";
import { empty, json } from "../http/replies.ts";
import type { BodyReader } from "../http/request-body.ts";
import type { Ctx, Parameter, Route } from "../http/route.ts";
import type { BesideAlerts } from "../ingest-gate.ts";
import { parseFilters } from "./alert-filter.ts";
import { activeSilences, groupsOf, listAlerts, type World } from "./alert-groups.ts";
import { readAlertQuery } from "./alert-query.ts";
import { type PostedAlert, readPosted } from "./posted-alerts.ts";
import { ProtocolRefusal, refusedText, requireJson, requireJsonAccepted } from "./protocol-refusal.ts";
import {
  changeFor,
  inOrder,
  readPostedSilence,
  requireUuid,
  type ShownSilence,
  silenceJson,
  silenceState,
} from "./silence-rules.ts";
import type { AlertView } from "./view.ts";

/** Where silences live. Those of the policy file are shown with the others, and can only be changed there. */
export type SilenceDesk = {
  all(): Promise<readonly ShownSilence[]>;
  /** Makes it, or changes the one with its id. */
  save(silence: ShownSilence): Promise<void>;
  /** Ends it now. */
  expire(id: string): Promise<void>;
  isFixed(silence: ShownSilence): boolean;
};

export type AlertmanagerPorts = {
  readonly ingest: (alerts: readonly AlertInput[], beside: BesideAlerts) => Promise<IngestResult>;
  readonly policies: () => readonly CompiledPolicy[];
  readonly view: AlertView;
  readonly silences: SilenceDesk;
  readonly bodies: BodyReader;
  readonly now: () => number;
  readonly about: { readonly version: string; readonly startedAtMs: number };
};

const JSON_ANSWER = { 200: { what: "as Alertmanager answers" } } as const;
const FILTER: Parameter = { name: "filter", what: 'a matcher such as severity="critical"; repeatable, all must hold' };
const ALERT_QUERY: readonly Parameter[] = [
  FILTER,
  { name: "receiver", what: "only alerts of policies whose names match this expression" },
  { name: "active", what: "show those that no silence matches", type: "boolean" },
  { name: "silenced", what: "show those that a silence matches", type: "boolean" },
];

export function alertmanagerRoutes(ports: AlertmanagerPorts): Route[] {
  return [...alertRoutes(ports), ...silenceRoutes(ports)].map((route) => ({
    ...route,
    handle: inItsWords(route.handle),
  }));
}

/** Refusals in Alertmanager's shapes. */
function inItsWords(handle: Route["handle"]): Route["handle"] {
  return async (c) => {
    try {
      requireJsonAccepted(c.env.incoming.headers.accept);
      return await handle(c);
    } catch (error) {
      if (error instanceof ProtocolRefusal) return error.reply();
      throw error;
    }
  };
}

function alertRoutes(ports: AlertmanagerPorts): Route[] {
  const { policies, view, now, about } = ports;
  const world = async (): Promise<World> => ({
    policies: policies(),
    silences: activeSilences(await ports.silences.all(), now()),
  });
  return [
    {
      method: "GET",
      path: "/api/v2/alerts",
      role: "read",
      summary: "Alerts that fire",
      query: ALERT_QUERY,
      answers: JSON_ANSWER,
      handle: async (c) => {
        const query = readAlertQuery(queryOf(c));
        return json(listAlerts(view.firing(now()), await world(), query).map((listed) => listed.json));
      },
    },
    {
      method: "POST",
      path: "/api/v2/alerts",
      role: "operate",
      summary: "Takes alerts; answers when every decision about them is durable",
      body: { what: "an array of alerts, as Prometheus sends them" },
      answers: { 200: { what: "all are taken" }, 400: { what: "some are refused; the others are taken" } },
      handle: (c) => postAlerts(c, ports),
    },
    {
      method: "GET",
      path: "/api/v2/alerts/groups",
      role: "read",
      summary: "Convergence groups of the alerts that fire; without a rule, one group for the policy",
      query: ALERT_QUERY,
      answers: JSON_ANSWER,
      handle: async (c) => {
        const query = readAlertQuery(queryOf(c));
        const takesPolicy = query.receiver ?? (() => true);
        return json(groupsOf(listAlerts(view.firing(now()), await world(), query), takesPolicy));
      },
    },
    {
      method: "GET",
      path: "/api/v2/receivers",
      role: "read",
      summary: "The policies in force",
      answers: JSON_ANSWER,
      handle: () => json(policies().map(({ policy }) => ({ name: policy.name }))),
    },
    {
      method: "GET",
      path: "/api/v2/status",
      role: "read",
      summary: "Version and start",
      answers: JSON_ANSWER,
      handle: () => json(statusJson(about)),
    },
  ];
}

/** The policy file is not shown: it may hold secrets. */
function statusJson({ version, startedAtMs }: AlertmanagerPorts["about"]): object {
  return {
    cluster: { peers: [], status: "disabled" },
    config: { original: "" },
    uptime: new Date(startedAtMs).toISOString(),
    versionInfo: { branch: "becalm", buildDate: "", buildUser: "", goVersion: "", revision: "", version },
  };
}

function queryOf(c: Ctx): URLSearchParams {
  return new URL(c.req.url).searchParams;
}

async function postAlerts(c: Ctx, ports: AlertmanagerPorts): Promise<Response> {
  requireJson(c.env.incoming.headers["content-type"]);
  return ports.bodies.withBody(c.env.incoming, async (body) => {
    const nowMs = ports.now();
    const posted = readPosted(body.toString("utf8"), nowMs);
    const mistakes = await takeAlerts(posted, ports, nowMs);
    if (mistakes.length > 0) throw refusedText(400, mistakes.join("; "));
    return empty();
  });
}

/** Gives the good ones to the engine, and gives back why others are refused, in their order. */
async function takeAlerts(
  posted: readonly (PostedAlert | string)[],
  { ingest, view }: AlertmanagerPorts,
  nowMs: number,
): Promise<string[]> {
  const why = new Map<number, string>();
  const places: number[] = [];
  const good: PostedAlert[] = [];
  for (const [place, alert] of posted.entries()) {
    if (typeof alert === "string") why.set(place, alert);
    else {
      places.push(place);
      good.push(alert);
    }
  }
  const { rejected } = await ingest(good.map(inputOf), { malformed: why.size, truncated: 0 });
  for (const { alert, error } of rejected) {
    // One that the store could not take makes the sender repeat them all, which changes nothing for the others.
    if (isForNow(error)) throw error;
    why.set(places[alert] as number, messageOf(error));
  }
  for (const [index, alert] of good.entries()) if (!why.has(places[index] as number)) view.put(alert, nowMs);
  return [...why].sort(([a], [b]) => a - b).map(([, text]) => text);
}

function inputOf({ labels, annotations, startsAtMs, endsAtMs, generatorURL }: PostedAlert): AlertInput {
  return { labels, annotations, startsAt: startsAtMs, endsAt: endsAtMs, generatorURL };
}

function silenceRoutes(ports: AlertmanagerPorts): Route[] {
  const { silences, now } = ports;
  const find = async (id: string) => (await silences.all()).find((silence) => silence.id === id.toLowerCase()) ?? null;
  return [
    {
      method: "GET",
      path: "/api/v2/silences",
      role: "read",
      summary: "All silences: active, pending, and those that ended lately",
      query: [FILTER],
      answers: JSON_ANSWER,
      handle: async (c) => {
        const filters = parseFilters(queryOf(c).getAll("filter"));
        const shown = inOrder(await silences.all(), now()).filter(({ match }) =>
          filters.every((filter) => match.some(({ name, value }) => filter.name === name && filter.value === value)),
        );
        return json(shown.map((silence) => silenceJson(silence, now())));
      },
    },
    {
      method: "POST",
      path: "/api/v2/silences",
      role: "operate",
      summary: "Makes or edits a silence",
      body: { what: "a silence, as amtool sends it" },
      answers: { 200: { what: "its id" } },
      handle: (c) => postSilence(c, { ports, find }),
    },
    {
      method: "GET",
      path: "/api/v2/silence/{id}",
      role: "read",
      summary: "One silence",
      answers: JSON_ANSWER,
      handle: async (c) => {
        const id = c.req.param("id") ?? "";
        requireUuid(id);
        const silence = await find(id);
        return silence === null ? empty(404) : json(silenceJson(silence, now()));
      },
    },
    {
      method: "DELETE",
      path: "/api/v2/silence/{id}",
      role: "operate",
      summary: "Ends a silence; what it held is decided again",
      answers: { 200: { what: "it has ended" } },
      handle: async (c) => {
        const id = c.req.param("id") ?? "";
        requireUuid(id);
        const silence = await find(id);
        if (silence === null) throw refusedText(404, "silence not found");
        requireOwn(silences, silence);
        if (silenceState(silence, now()) !== "expired") await silences.expire(silence.id);
        return empty();
      },
    },
  ];
}

function requireOwn(silences: SilenceDesk, silence: ShownSilence): void {
  if (silences.isFixed(silence))
    throw refusedText(409, "this silence is part of the policy file: change it there and reload");
}

type PostParts = { readonly ports: AlertmanagerPorts; readonly find: (id: string) => Promise<ShownSilence | null> };

async function postSilence(c: Ctx, { ports, find }: PostParts): Promise<Response> {
  const { silences, bodies, now } = ports;
  requireJson(c.env.incoming.headers["content-type"]);
  return bodies.withBody(c.env.incoming, async (body) => {
    const posted = readPostedSilence(body.toString("utf8"), now());
    const before = posted.id === null ? null : await find(posted.id);
    const { silence, expire } = changeFor(posted, before, { nowMs: now(), newId: randomUUID });
    if (before !== null) requireOwn(silences, before);
    if (expire !== null) await silences.expire(expire.id);
    await silences.save(silence);
    return json({ silenceID: silence.id });
  });
}
