/** Groups and approvals: one decision for a storm. */
import type { AnswerTarget } from "../../engine.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import { toSnapshot } from "../../instance/instance-snapshot.ts";
import { parseDuration } from "../../model/duration.ts";
import { LIST_PAGE_COUNT_DEFAULT, LIST_PAGE_COUNT_MAX } from "../../model/limits.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import { isoTime } from "../../present/time-text.ts";
import type { InstanceReader, Listed } from "../../runtime/instance-reader.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { checked, withJson } from "../http/json-body.ts";
import { json } from "../http/replies.ts";
import type { Ctx, Parameter, Route } from "../http/route.ts";
import { byGroup, goingOn, groupRow } from "./group-rows.ts";
import { type HeldGroup, heldGroups } from "./held-groups.ts";
import { rowJson } from "./instance-routes.ts";
import { filterOf, LOOKED_AT_COUNT_MAX, listed, PAGE_QUERY } from "./list-query.ts";
import { withoutSecrets } from "./policy-routes.ts";
import type { InstancePorts } from "./ports.ts";
import { WHO, whoOf } from "./who.ts";

const SINCE_DEFAULT = "6h";
const SHOWN_MEMBER_COUNT = 20;

const GROUP_QUERY: readonly Parameter[] = [
  { name: "since", what: `how far back, a time or how long ago; default ${SINCE_DEFAULT}` },
  ...PAGE_QUERY,
];

const DECIDED = {
  200: { what: "{ instances }: those that were decided" },
  404: { what: "the group holds nobody" },
} as const;

export function groupRoutes(ports: InstancePorts): Route[] {
  const answer = (verb: "approve" | "deny") => (c: Ctx) =>
    withJson(c, ports.bodies, async (body) => {
      const target: AnswerTarget = { group: c.req.param("id") ?? "" };
      const decided = await ports.engine[verb](target, whoOf(c, checked(WHO, body)));
      return json({ instances: await Promise.all(decided.map((instance) => rowJson(ports, instance))) });
    });
  return [
    {
      method: "GET",
      path: "/v1/groups",
      role: "read",
      summary: "Convergence groups that are open or hold somebody, and those of the last hours, the newest first",
      query: GROUP_QUERY,
      answers: { 200: { what: "{ groups, next }; with `isCut`, if there was more than is looked at" } },
      handle: (c) => groups(c, ports),
    },
    {
      method: "GET",
      path: "/v1/groups/{id}",
      role: "read",
      summary: "One group with its newest instances",
      answers: { 200: { what: "the group" } },
      handle: async (c) => {
        const id = c.req.param("id") ?? "";
        const page = await listed(ports, { group: id, limit: LIST_PAGE_COUNT_MAX });
        const [group] = byGroup(page.instances);
        if (group === undefined) throw noGroup(id, page);
        const row = await groupRow(await ports.reader(), group, ports.now());
        return json({ ...row, isTruncated: page.next !== null, unreached: page.unreached });
      },
    },
    {
      method: "POST",
      path: "/v1/groups/{id}/approve",
      role: "operate",
      summary: "Grants all that the group holds",
      body: { schema: WHO },
      answers: DECIDED,
      handle: answer("approve"),
    },
    {
      method: "POST",
      path: "/v1/groups/{id}/deny",
      role: "operate",
      summary: "Denies all that the group holds",
      body: { schema: WHO },
      answers: DECIDED,
      handle: answer("deny"),
    },
    {
      method: "GET",
      path: "/v1/approvals",
      role: "read",
      summary: "What waits for a person: a row a group, or an instance without one",
      query: PAGE_QUERY,
      answers: { 200: { what: "{ approvals, next }" } },
      handle: async (c) => {
        const filter = filterOf(c, ports.now());
        const page = await listed(ports, { ...filter, state: "Waiting" });
        const isWhole = page.next === null && filter.cursor === undefined;
        const groups = await heldGroups(await ports.reader(), page, isWhole);
        const approvals = await Promise.all(groups.map((held) => approvalRow(ports, held)));
        return json({ approvals, next: page.next, unreached: page.unreached });
      },
    },
  ];
}

function noGroup(id: string, { next }: Listed): HttpRefusal {
  const older = `GET /v1/instances?group=${encodeURIComponent(id)} looks at older ones, page by page.`;
  const why =
    next === null
      ? `There is no instance of group ${JSON.stringify(id)}. GET /v1/groups lists those of the last hours.`
      : `None of the newest ${LOOKED_AT_COUNT_MAX} instances is of group ${JSON.stringify(id)}. ${older}`;
  return new HttpRefusal(404, "BECALM_NOT_FOUND", { why });
}

/** Sorted by the newest instance, so that a page goes on behind the last group of the one before. */
async function groups(c: Ctx, ports: InstancePorts): Promise<Response> {
  const nowMs = ports.now();
  const { cursor, limit = LIST_PAGE_COUNT_DEFAULT, ...asked } = filterOf(c, nowMs);
  const isBehind = cursor === undefined ? () => true : behind(cursor);
  const reader = await ports.reader();
  const filter = { since: nowMs - parseDuration(SINCE_DEFAULT), ...asked };
  const { instances, isCut, unreached } = await goingOn(reader, filter, LOOKED_AT_COUNT_MAX);
  const left = byGroup(instances).filter(({ id, instances: [newest] }) => id !== null && isBehind(newest as Instance));
  const page = left.slice(0, limit);
  const rows = await Promise.all(page.map((group) => groupRow(reader, group, nowMs)));
  const next = left.length > limit ? cursorOf(page.at(-1)?.instances[0] as Instance) : null;
  return json({ groups: rows, next, unreached, ...(isCut ? { isCut } : {}) });
}

function cursorOf({ createdAtMs, id }: Instance): string {
  return `${createdAtMs}:${id}`;
}

function behind(cursor: string): (newest: Instance) => boolean {
  const [, atText, lastId = ""] = /^(\d{1,15}):(.+)$/.exec(cursor) ?? [];
  if (atText === undefined)
    throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why: "`cursor` is not the `next` of an earlier page." });
  const atMs = Number(atText);
  return ({ createdAtMs, id }) => createdAtMs < atMs || (createdAtMs === atMs && id < lastId);
}

async function approvalRow(ports: InstancePorts, { id, instances, held, oldest }: HeldGroup): Promise<object> {
  const reader = await ports.reader();
  const dues = [...instances, oldest].flatMap(({ snapshot }) => snapshot.context.timers.approval?.dueAtMs ?? []);
  const { sentence, alert } = (await rowJson(ports, toSnapshot(oldest))) as { sentence: unknown; alert: unknown };
  return {
    group: id,
    policy: oldest.policy,
    reason: oldest.reason,
    sentence,
    alert,
    action: actionOf(reader, oldest),
    held,
    since: isoTime(oldest.atMs),
    dueAt: dues.length === 0 ? null : isoTime(Math.min(...dues)),
    instances: instances.map((instance) => instance.id),
    shown: await alertsOf(reader, instances.slice(0, SHOWN_MEMBER_COUNT)),
  };
}

/** What is asked for: the action that a grant begins. */
function actionOf({ runtime }: InstanceReader, { policy, policyVersion }: Instance): object | null {
  const compiled = runtime.versions.get(policyKey({ name: policy, version: policyVersion }));
  return compiled === undefined ? null : withoutSecrets(compiled.policy.action);
}

async function alertsOf(reader: InstanceReader, instances: readonly Instance[]): Promise<readonly object[]> {
  const births = await reader.births(instances.map(({ id }) => id));
  return instances.map(({ id }) => ({ id, labels: births.get(id)?.alert?.labels ?? null }));
}
