/** What the console asks beyond the API that programs use: who looks, the storm in numbers, one instance's past, a candidate's difference. */
import { z } from "zod";
import { parsePolicies } from "../../formats/policy-file.ts";
import { entryJson } from "../../present/instance-json.ts";
import { replay } from "../../simulate/replay.ts";
import { checked, withJson } from "../http/json-body.ts";
import { json } from "../http/replies.ts";
import type { Route } from "../http/route.ts";
import type { InstancePorts } from "../instances/ports.ts";
import type { StormView } from "./storm-view.ts";

const CANDIDATE = z.object({ policies: z.string().max(1_048_576) });
const WAITING_COUNT_MAX = 1_000;

export function consoleRoutes({ engine, bodies }: InstancePorts, storm: StormView): Route[] {
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
        const { instances } = await engine.list({ state: "Waiting", limit: WAITING_COUNT_MAX });
        return json(storm.json(instances.length));
      },
    },
    {
      method: "GET",
      path: "/v1/instances/{id}/steps",
      role: "read",
      summary: "Every step with the machine's state and context behind it, from a replay of the history",
      answers: { 200: { what: "{ instance, steps }" } },
      handle: async (c) => {
        const history = await engine.get(c.req.param("id") ?? "").history();
        const { steps } = replay(history);
        return json({
          instance: history.instance,
          steps: steps.map(({ entry, snapshot, isEqual }) => ({
            ...entryJson(entry, history),
            snapshot,
            isEqual,
          })),
        });
      },
    },
    {
      method: "POST",
      path: "/v1/candidates",
      role: "read",
      summary: "The mistakes of a policy file; nothing is changed",
      body: { schema: CANDIDATE },
      answers: { 200: { what: "{ mistakes }: none if the file is good" } },
      handle: (c) =>
        withJson(c, bodies, async (body) => {
          const { mistakes } = parsePolicies(checked(CANDIDATE, body).policies, { file: "candidate" });
          return json({ mistakes });
        }),
    },
  ];
}
