import { expect, test } from "vitest";
import { encodeEffect } from "../../src/instance/effect.ts";
import type { Runtime } from "../../src/runtime/runtime.ts";
import { OutboxPump } from "../../src/runtime/workers/outbox-pump.ts";
import { RepeatedFaults } from "../../src/runtime/workers/repeated-faults.ts";
import type { ClaimedEffect } from "../../src/stores/outbox.ts";
import { ManualClock } from "../support/manual-clock.ts";

const NEVER = new Promise<never>(() => {});

function delivered(id: string, deliveries: number): ClaimedEffect {
  const about = { instanceId: id, groupId: null, attempt: 1, atMs: 0, turn: 0, order: [0] };
  return { id, partition: 0, value: encodeEffect({ ...about, id, partition: 0 }), deliveries };
}

test("an attempt that was delivered often, and is given back before its turn, is begun when it comes again", async () => {
  const clock = new ManualClock(0);
  const calls: string[] = [];
  const store = {
    history: () => NEVER,
    extendClaims: async () => [],
    releaseClaims: async ({ effectIds: [id] }: { effectIds: string[] }) => void calls.push(`released ${id}`),
    outbox: { giveBack: async ({ effectIds: [id] }: { effectIds: string[] }) => void calls.push(`put off ${id}`) },
  };
  const runtime = { owner: "me", clock, realTime: clock, store, versions: new Map() } as unknown as Runtime;
  const coming = [[delivered("busy", 1)], [delivered("suspect", 3)], [delivered("suspect", 3)]];
  const pump = new OutboxPump(runtime, {
    effects: () => ({ dispatch: () => {} }),
    concurrency: 1,
    source: {
      takesOwn: true,
      room: () => ({ actions: 1, notices: 1 }),
      aheadCount: 0,
      polledEveryMs: 500,
      take: async () => ({ effects: coming.shift() ?? [], isMore: false }),
    },
    submit: () => NEVER,
    isRunning: () => true,
    onRoom: () => {},
    faults: new RepeatedFaults(clock, () => {}),
  });
  await pump.take();
  await pump.take();
  await pump.prolong();
  await pump.take();
  expect(calls).toEqual(["released suspect"]);
  expect(pump.takenCount).toBe(2);
});
