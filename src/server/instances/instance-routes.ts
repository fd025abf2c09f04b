/** Instances: lists, one, its history and picture; and what people and programs say to it. */
import { z } from "zod";
import { actionInstanceMachine } from "../../../machines/index.ts";
import { drawChart } from "../../drawing/index.ts";
import type { History } from "../../instance/audit-types.ts";
import { type EventInput, SENDABLE_EVENTS } from "../../instance/event-input.ts";
import { type InstanceSnapshot, toSnapshot } from "../../instance/instance-snapshot.ts";
import { BecalmError, errorCode } from "../../model/errors.ts";
import { entryJson, explainedRow, instanceDetail } from "../../present/instance-json.ts";
import type { ProcessNames } from "../../runtime/deciding-process.ts";
import type { Listed } from "../../runtime/instance-reader.ts";
import { subjectIdOf } from "../../runtime/workers/notice-subject.ts";
import { historyVisits } from "../../simulate/history-visits.ts";
import { replay } from "../../simulate/replay.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { checked, withJson } from "../http/json-body.ts";
import { json } from "../http/replies.ts";
import type { Ctx, Route } from "../http/route.ts";
import { filterOf, LIST_QUERY, listed } from "./list-query.ts";
import type { InstancePorts } from "./ports.ts";
import { WHO, whoOf } from "./who.ts";

const EVENT = z.object({ type: z.enum(SENDABLE_EVENTS), ...WHO.partial().shape });

const INSTANCE = { 200: { what: "the instance" } } as const;
const DECIDED = {
  200: { what: "the instance as it is now" },
  409: { what: "its state refuses; `details.last` says what happened meanwhile" },
  412: { what: "it is no longer at the version that If-Match names" },
} as const;

export function instanceRoutes(ports: InstancePorts): Route[] {
  return [...readingRoutes(ports), ...answeringRoutes(ports)];
}

function readingRoutes(ports: InstancePorts): Route[] {
  const { engine } = ports;
  return [
    {
      method: "GET",
      path: "/v1/instances",
      role: "read",
      summary: "Instances, newest first",
      query: LIST_QUERY,
      answers: { 200: { what: "{ instances, next }" } },
      handle: async (c) => json(await pageJson(ports, await listed(ports, filterOf(c, ports.now())))),
    },
    {
      method: "GET",
      path: "/v1/instances/{id}",
      role: "read",
      summary: "One instance",
      answers: INSTANCE,
      handle: (c) => shown(idOf(c), ports),
    },
    {
      method: "GET",
      path: "/v1/instances/{id}/history",
      role: "read",
      summary: "Every step of an instance, with why",
      answers: { 200: { what: "{ instance, alert, entries }" } },
      handle: async (c) => {
        const history = await engine.get(idOf(c)).history();
        const names = await namesOf(ports, history);
        const entries = history.entries.map((entry) => entryJson(entry, history, names));
        return json({ instance: history.instance, birth: history.birth, entries });
      },
    },
    {
      method: "GET",
      path: "/v1/instances/{id}/drawing.svg",
      role: "read",
      summary: "The machine with the way that the instance took",
      answers: { 200: { what: "a picture", type: "image/svg+xml" } },
      query: [{ name: "at", what: "after this step, from 1 on; default: as it is now", type: "integer" }],
      handle: async (c) => drawing(idOf(c), ports, c.req.query("at")),
    },
  ];
}

function answeringRoutes(ports: InstancePorts): Route[] {
  const answer = (type: "approval.granted" | "approval.denied") => (c: Ctx) =>
    withJson(c, ports.bodies, (body) => send(c, ports, { type, ...whoOf(c, checked(WHO, body)) }));
  return [
    {
      method: "POST",
      path: "/v1/instances/{id}/events",
      role: "operate",
      summary: `Sends an event: ${SENDABLE_EVENTS.join(", ")}`,
      body: { schema: EVENT },
      answers: DECIDED,
      handle: (c) => withJson(c, ports.bodies, (body) => send(c, ports, eventOf(c, checked(EVENT, body)))),
    },
    {
      method: "POST",
      path: "/v1/instances/{id}/approve",
      role: "operate",
      summary: "Grants the approval",
      body: { schema: WHO },
      answers: DECIDED,
      handle: answer("approval.granted"),
    },
    {
      method: "POST",
      path: "/v1/instances/{id}/deny",
      role: "operate",
      summary: "Denies the approval",
      body: { schema: WHO },
      answers: DECIDED,
      handle: answer("approval.denied"),
    },
  ];
}

function idOf(c: Ctx): string {
  return c.req.param("id") ?? "";
}

function eventOf(c: Ctx, { type, by, why }: z.infer<typeof EVENT>): EventInput {
  if (type === "alert.resolved") return { type };
  if (why === undefined)
    throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why: "The body needs `why`: the reason." });
  const who = whoOf(c, { by, why });
  return type === "start" ? { type, approved: true, ...who } : { type, ...who };
}

async function pageJson(ports: InstancePorts, page: Listed): Promise<object> {
  const instances = await Promise.all(page.instances.map((instance) => rowJson(ports, toSnapshot(instance))));
  const quarantined = page.quarantined.map(({ id, version, error }) => quarantinedJson(id, error, version));
  return { instances: [...instances, ...quarantined], next: page.next, unreached: page.unreached };
}

export async function rowJson(ports: InstancePorts, instance: InstanceSnapshot): Promise<object> {
  const history = await historyOf(ports, instance.id);
  const row = explainedRow(instance, history, await namesOf(ports, history));
  return { ...row, ...(await aboutOf(ports, history)) };
}

/** What a notice is about: it has no alert of its own, and without labels nobody could tell one from the others. */
async function aboutOf(ports: InstancePorts, history: History | null): Promise<object> {
  const notice = history?.birth.notice ?? null;
  if (notice === null) return {};
  const instance = subjectIdOf(notice);
  const subject = await historyOf(ports, instance);
  return { about: { instance, labels: subject?.birth.alert?.labels ?? null } };
}

/** What the processes were called that decided its steps. */
export async function namesOf({ reader }: InstancePorts, history: History | null): Promise<ProcessNames> {
  return (await reader()).processNames(history?.entries ?? []);
}

/** null: it cannot be read; the instance is shown without it. */
export async function historyOf({ reader }: InstancePorts, id: string): Promise<History | null> {
  try {
    return await (await reader()).history(id);
  } catch (error) {
    const code = errorCode(error);
    if (code === "BECALM_HISTORY_BROKEN" || code === "BECALM_NOT_FOUND") return null;
    throw error;
  }
}

function quarantinedJson(id: string, error: BecalmError, version: number | null): object {
  return { id, version, quarantined: true, code: error.code, error: error.message };
}

export function etagOf({ version }: Pick<InstanceSnapshot, "version">): string {
  return `"${version}"`;
}

const QUARANTINING: ReadonlySet<string> = new Set([
  "BECALM_CHECKPOINT_INVALID",
  "BECALM_CHECKPOINT_UNKNOWN_MACHINE",
  "BECALM_CHECKPOINT_NEWER",
]);

async function shown(id: string, ports: InstancePorts): Promise<Response> {
  const instances = await ports.reader();
  try {
    const snapshot = toSnapshot(await instances.instance(id));
    const history = await instances.history(id);
    const names = await instances.processNames(history.entries);
    const detail = { ...instanceDetail(snapshot, history, names), ...(await aboutOf(ports, history)) };
    return json(detail, { etag: etagOf(snapshot) });
  } catch (error) {
    if (error instanceof BecalmError && QUARANTINING.has(error.code)) return json(quarantinedJson(id, error, null));
    throw error;
  }
}

async function drawing(id: string, { engine }: InstancePorts, at: string | undefined): Promise<Response> {
  const history = await engine.get(id).history();
  const { steps } = replay(history);
  const count = Math.min(Math.max(Number(at ?? steps.length), 1), steps.length);
  if (!Number.isInteger(count))
    throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why: `at must be a whole number from 1, not ${at}.` });
  const current = steps[count - 1]?.snapshot.state ?? "Idle";
  const picture = drawChart(actionInstanceMachine, {
    format: "svg",
    path: historyVisits(history, count),
    current,
    title: `${id} is ${current}`,
  });
  const headers = {
    "content-type": "image/svg+xml",
    "content-security-policy": "default-src 'none'; style-src 'unsafe-inline'",
    "x-content-type-options": "nosniff",
  };
  return new Response(picture, { headers });
}

/**
 * 412 comes before 409: whoever saw an older version is told that before the state is asked. The commit itself compares
 * the versions.
 */
async function send(c: Ctx, ports: InstancePorts, event: EventInput): Promise<Response> {
  const id = idOf(c);
  const reference = ports.engine.get(id);
  try {
    const snapshot = await reference.send(event, conditionOf(c.req.header("if-match")));
    return json(await rowJson(ports, snapshot), { etag: etagOf(snapshot) });
  } catch (error) {
    const code = errorCode(error);
    if (code === "BECALM_VERSION_MOVED") throw await moved(ports, await reference.snapshot());
    throw code === "BECALM_EVENT_REFUSED" ? await refusedByState(ports, error as BecalmError, id) : error;
  }
}

/** The versions that the caller would accept. What is no tag of ours matches none. */
function conditionOf(expected: string | undefined): { ifVersion?: readonly number[] } {
  if (expected === undefined || expected.trim() === "*") return {};
  return { ifVersion: expected.split(",").map((tag) => Number(/^\s*"(\d{1,15})"\s*$/.exec(tag)?.[1] ?? -1)) };
}

async function moved(ports: InstancePorts, seen: InstanceSnapshot): Promise<HttpRefusal> {
  const why = `Instance ${seen.id} has moved on to version ${seen.version}. Look at it again, then decide again.`;
  const details = { version: seen.version, state: seen.state, last: await lastEntry(ports, seen.id) };
  return new HttpRefusal(412, "BECALM_VERSION_MOVED", { why, details, headers: { etag: etagOf(seen) } });
}

async function refusedByState(ports: InstancePorts, error: BecalmError, id: string): Promise<HttpRefusal> {
  const last = await lastEntry(ports, id);
  return new HttpRefusal(409, "BECALM_EVENT_REFUSED", { why: error.message, details: { ...error.details, last } });
}

/** What happened meanwhile, by whom and when. */
async function lastEntry(ports: InstancePorts, id: string): Promise<object | null> {
  const history = await historyOf(ports, id);
  const last = history?.entries.at(-1);
  if (history === null || last === undefined) return null;
  return entryJson(last, history, await namesOf(ports, history));
}
