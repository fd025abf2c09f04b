/** Groups and approvals: one decision for a storm. */
import type { AnswerTarget } from "../../engine.ts";
import type { InstanceSnapshot } from "../../instance/instance-snapshot.ts";
import { LIST_PAGE_COUNT_MAX } from "../../model/limits.ts";
import { isoTime } from "../../present/time-text.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { checked, withJson } from "../http/json-body.ts";
import { json } from "../http/replies.ts";
import type { Ctx, Parameter, Route } from "../http/route.ts";
import { filterOf, rowJson } from "./instance-routes.ts";
import type { InstancePorts } from "./ports.ts";
import { WHO, whoOf } from "./who.ts";

const PAGE_QUERY: readonly Parameter[] = [
  { name: "policy", what: "only those of this policy" },
  { name: "limit", what: `instances that are looked at, 1 to ${LIST_PAGE_COUNT_MAX}`, type: "integer" },
  { name: "cursor", what: "`next` of an earlier page" },
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
      summary: "Convergence groups, by their newest instance",
      query: PAGE_QUERY,
      answers: { 200: { what: "{ groups, next }" } },
      handle: async (c) => {
        const page = await ports.engine.list(filterOf(new URL(c.req.url).searchParams));
        const inGroups = page.instances.filter(({ group }) => group !== null);
        return json({ groups: byGroup(inGroups).map(groupRow), next: page.next });
      },
    },
    {
      method: "GET",
      path: "/v1/groups/{id}",
      role: "read",
      summary: "One group with its newest instances",
      answers: { 200: { what: "the group" } },
      handle: async (c) => {
        const id = c.req.param("id") ?? "";
        const page = await ports.engine.list({ group: id, limit: LIST_PAGE_COUNT_MAX });
        const [group] = byGroup(page.instances);
        if (group === undefined) throw noGroup(id);
        return json({ ...groupRow(group), isTruncated: page.next !== null });
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
        const filter = filterOf(new URL(c.req.url).searchParams);
        const page = await ports.engine.list({ ...filter, state: "Waiting" });
        const approvals = await Promise.all(byGroup(page.instances).map((held) => approvalRow(ports, held)));
        return json({ approvals, next: page.next });
      },
    },
  ];
}

function noGroup(id: string): HttpRefusal {
  const why = `There is no instance of group ${JSON.stringify(id)}. GET /v1/groups lists all.`;
  return new HttpRefusal(404, "BECALM_NOT_FOUND", { why });
}

type Members = { readonly id: string | null; readonly instances: readonly InstanceSnapshot[] };

/** Instances without a group each stand alone. Order of first appearance. */
function byGroup(instances: readonly InstanceSnapshot[]): Members[] {
  const groups = new Map<string, InstanceSnapshot[]>();
  for (const instance of instances) {
    const key = instance.group ?? ` ${instance.id}`;
    const members = groups.get(key);
    if (members === undefined) groups.set(key, [instance]);
    else members.push(instance);
  }
  return [...groups.values()].map((members) => ({ id: members[0]?.group ?? null, instances: members }));
}

function groupRow({ id, instances }: Members): object {
  const states = new Map<string, number>();
  for (const { state } of instances) states.set(state, (states.get(state) ?? 0) + 1);
  const newest = instances[0] as InstanceSnapshot;
  return {
    id,
    policy: newest.policy,
    states: Object.fromEntries(states),
    newestAt: isoTime(newest.createdAtMs),
    instances: instances.map((instance) => instance.id),
  };
}

async function approvalRow(ports: InstancePorts, { id, instances }: Members): Promise<object> {
  const oldest = instances.at(-1) as InstanceSnapshot;
  const dues = instances.flatMap(({ timers }) => timers["approval"]?.dueAtMs ?? []);
  const { sentence, alert } = (await rowJson(ports, oldest)) as { sentence: unknown; alert: unknown };
  return {
    group: id,
    policy: oldest.policy,
    reason: oldest.reason,
    sentence,
    alert,
    held: instances.length,
    since: isoTime(oldest.atMs),
    dueAt: dues.length === 0 ? null : isoTime(Math.min(...dues)),
    instances: instances.map((instance) => instance.id),
  };
}
