/**
 * What the console asks beyond the API that programs use: who looks, the storm in numbers, one instance's past, who
 * answered.
 */
import { actionInstanceMachine } from "../../../machines/index.ts";
import { REASONS } from "../../model/reasons.ts";
import { entryJson } from "../../present/instance-json.ts";
import { sentenceOf } from "../../present/sentences.ts";
import { isoTime } from "../../present/time-text.ts";
import { replay } from "../../simulate/replay.ts";
import { mayActAs } from "../auth/tokens.ts";
import { json, text } from "../http/replies.ts";
import type { Route } from "../http/route.ts";
import { groupFacts } from "../instances/group-rows.ts";
import { heldGroups } from "../instances/held-groups.ts";
import { historyOf, namesOf } from "../instances/instance-routes.ts";
import { listed } from "../instances/list-query.ts";
import type { InstancePorts } from "../instances/ports.ts";
import { withoutPolicySecrets } from "../instances/read-routes.ts";
import type { Answer, AnswerLog } from "./answer-log.ts";
import { instanceBundle } from "./instance-bundle.ts";
import type { Storm, StormView } from "./storm-view.ts";

const WAITING_COUNT_MAX = 1_000;

export type ConsoleViews = { readonly storm: StormView; readonly answers: AnswerLog };

export function consoleRoutes(ports: InstancePorts, { storm, answers }: ConsoleViews): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/whoami",
      role: "read",
      summary: "The caller's name and role, as its token has them",
      answers: { 200: { what: "{ name, role }" } },
      handle: (c) => json(c.get("caller")),
    },
    {
      method: "GET",
      path: "/v1/storm",
      role: "read",
      summary: "Alerts in, actions out and reasons of the last three hours, counted since the server started",
      answers: { 200: { what: "{ since, bucketMs, buckets, totals, waiting, groups, reasons }" } },
      handle: async () => {
        const page = await listed(ports, { state: "Waiting", limit: WAITING_COUNT_MAX });
        const groups = await heldGroups(await ports.reader(), page, page.next === null);
        const waiting = groups.reduce((sum, { held }) => sum + held, 0);
        return json(await withGroupFacts(ports, storm.json(waiting)));
      },
    },
    {
      method: "GET",
      path: "/v1/reasons",
      role: "read",
      summary: "Why an instance may be where it is: the codes and what they mean",
      answers: { 200: { what: "{ reasons: { CODE: { en, zh } } }" } },
      handle: () => json({ reasons: REASONS }),
    },
    {
      method: "GET",
      path: "/v1/decided",
      role: "read",
      summary: "The newest answers to approvals: who decided what, when and why",
      answers: { 200: { what: "{ decided }" } },
      handle: async () => {
        const rows = await Promise.all(answers.newest().map((answer) => decidedRow(ports, answer)));
        return json({ decided: rows.filter((row) => row !== null) });
      },
    },
    ...pastRoutes(ports),
  ];
}

function pastRoutes(ports: InstancePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/instances/{id}/steps",
      role: "read",
      summary: "Every step with the machine's state and context behind it, from a replay of the history",
      answers: { 200: { what: "{ instance, steps }" } },
      handle: async (c) => {
        const history = await (await ports.reader()).history(c.req.param("id") ?? "");
        const names = await namesOf(ports, history);
        const { steps } = replay(history);
        return json({
          instance: history.instance,
          steps: steps.map(({ entry, snapshot, isEqual }) => ({
            ...entryJson(entry, history, names),
            snapshot,
            isEqual,
          })),
        });
      },
    },
    {
      method: "GET",
      path: "/v1/instances/{id}/bundle",
      role: "read",
      summary: "One instance as a bundle, as `becalm export` writes it",
      answers: { 200: { what: "a bundle: JSON lines with hashes", type: "text/plain" } },
      handle: async (c) => {
        const shown = mayActAs(c.get("caller"), "admin") ? <T>(record: T) => record : withoutPolicySecrets;
        const id = c.req.param("id") ?? "";
        return text(await instanceBundle(await ports.reader(), id, { nowMs: ports.now(), shown }));
      },
    },
    {
      method: "GET",
      path: "/v1/machine",
      role: "read",
      summary: "The machine's source, to be pasted into Stately's editor (import from code)",
      answers: { 200: { what: "createMachine({ ... });", type: "text/plain" } },
      handle: () => text(machineSource()),
    },
  ];
}

/** The first context is a function of the policy; the editor does without it. */
function machineSource(): string {
  const { context: _context, ...config } = actionInstanceMachine.config;
  return `createMachine(${JSON.stringify(config, null, 2)});\n`;
}

/** null: its instance is no longer kept. Who and why are in its history. */
async function decidedRow(ports: InstancePorts, { event, policy, group, atMs, instances, count }: Answer) {
  const history = await historyOf(ports, instances[0] ?? "");
  const entry = history?.entries.findLast((one) => one.event.type === event && one.atMs === atMs);
  if (history === null || entry === undefined) return null;
  const why = "why" in entry.event ? entry.event.why : null;
  return {
    event,
    policy,
    group,
    at: isoTime(atMs),
    by: entry.actor,
    why,
    sentence: sentenceOf(entry, history),
    labels: history.birth.alert?.labels ?? null,
    count,
    instances,
  };
}

/** Each group with its dimensions and the window that is open now. */
async function withGroupFacts({ reader, now }: InstancePorts, storm: Storm): Promise<object> {
  const instances = await reader();
  const nowMs = now();
  const groups = storm.groups.map(async ({ newestId, ...group }) => ({
    ...group,
    ...(await groupFacts(instances, { groupId: group.id, instanceId: newestId, nowMs })),
  }));
  return { ...storm, groups: await Promise.all(groups) };
}
