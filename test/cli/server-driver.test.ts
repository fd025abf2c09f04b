import { once } from "node:events";
import { createServer } from "node:http";
import { expect, test } from "vitest";
import { ServerDriver } from "../../src/cli/server-driver.ts";
import type { Envelope } from "../../src/runtime/commit/batch.ts";
import type { InstanceReader } from "../../src/runtime/instance-reader.ts";

test("answers for a group go to the server some at once, and come back in their order", async () => {
  let underWay = 0;
  let most = 0;
  const held: (() => void)[] = [];
  const server = createServer((_, response) => {
    underWay += 1;
    most = Math.max(most, underWay);
    held.push(() => {
      underWay -= 1;
      response.setHeader("content-type", "application/json").end('{ "state": "Processing" }');
    });
    // The first ones are answered once more than a few are under way.
    if (most > 8) for (const answer of held.splice(0)) setTimeout(answer, 5 * Math.random());
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const reader = { instance: async (id: string) => ({ id }) } as unknown as InstanceReader;
  const driver = new ServerDriver({ url: `http://127.0.0.1:${port}` }, reader);
  const ids = Array.from({ length: 100 }, (_, number) => `00-${number}`);
  const event = { type: "approval.granted", by: "ann", why: "go" };
  const sent = await driver.submit(ids.map((id) => ({ command: { type: "event", id, event } }) as unknown as Envelope));
  expect(sent.map((one) => (one as { instance: { id: string } }).instance.id)).toEqual(ids);
  expect([most > 8, most <= 32, driver.begun]).toEqual([true, true, 100]);
  server.close();
});
