/** What the console asks beyond the API that programs use: who looks, the storm in numbers, one instance's past. */
import { entryJson } from "../../present/instance-json.ts";
import { replay } from "../../simulate/replay.ts";
import { json } from "../http/replies.ts";
import type { Route } from "../http/route.ts";
import type { InstancePorts } from "../instances/ports.ts";
import type { StormView } from "./storm-view.ts";

const WAITING_COUNT_MAX = 1_000;

export function consoleRoutes({ engine }: InstancePorts, storm: StormView): Route[] {
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
  ];
}
