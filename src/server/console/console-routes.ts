/** What the console asks beyond the API that programs use: who looks, the storm in numbers, one instance's past. */
import { entryJson } from "../../present/instance-json.ts";
import { replay } from "../../simulate/replay.ts";
import { json } from "../http/replies.ts";
import type { Route } from "../http/route.ts";
import { groupFacts } from "../instances/group-rows.ts";
import { listed } from "../instances/list-query.ts";
import type { InstancePorts } from "../instances/ports.ts";
import type { Storm, StormView } from "./storm-view.ts";

const WAITING_COUNT_MAX = 1_000;

export function consoleRoutes(ports: InstancePorts, storm: StormView): Route[] {
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
        const { instances } = await listed(ports, { state: "Waiting", limit: WAITING_COUNT_MAX });
        return json(await withGroupFacts(ports, storm.json(instances.length)));
      },
    },
    {
      method: "GET",
      path: "/v1/instances/{id}/steps",
      role: "read",
      summary: "Every step with the machine's state and context behind it, from a replay of the history",
      answers: { 200: { what: "{ instance, steps }" } },
      handle: async (c) => {
        const history = await (await ports.reader()).history(c.req.param("id") ?? "");
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
