/** A virtual run that ended in the middle of a line, and the one behind it. */
import { describe, expect, test } from "vitest";
import { compose, driveVirtual } from "../../src/compose.ts";
import type { OpenEffectPort } from "../../src/effects/effect-port.ts";
import { toReceipt } from "../../src/formats/alert-input.ts";
import { policySetFrom } from "../../src/formats/policy-file.ts";
import type { VirtualRun } from "../../src/simulate/virtual-run.ts";
import type { Store } from "../../src/stores/store.ts";
import { alertOf, MEMORY, policyOf, redisKind, START_MS } from "../support/engine-world.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { useRedis } from "../support/redis-server.ts";

const server = useRedis();

/** A run over a namespace, by a process of its own. */
async function runOn(store: Store, effects: OpenEffectPort): Promise<VirtualRun> {
  const runtime = await compose({ store, mode: "virtual", policies: policySetFrom([policyOf(null)]) });
  return driveVirtual(runtime, { effects, concurrency: 4, onCommit: [] }).driver;
}

/** As if the process ended when its first attempt begins. */
const KILLED: OpenEffectPort = () => ({
  dispatch: () => {
    throw new Error("killed");
  },
});
const DONE: OpenEffectPort = (complete) => ({ dispatch: (effect) => complete(effect, { ok: true }) });

test("a run whose server lost its data fails at its end, and says so", async () => {
  const run = await runOn(redisKind(server).make(new ManualClock(START_MS)).connect(), DONE);
  await run.line([toReceipt(alertOf("a"), { receivedAtMs: START_MS })], START_MS);
  await server.flush();
  await expect(run.finish()).rejects.toMatchObject({ code: "BECALM_STORE_FAILED" });
});

describe.each([MEMORY, redisKind(server)])("on $name", (kind) => {
  test("a run that ended in a line of 10,050 alerts leaves no attempt behind that the next one does not take", async () => {
    const count = 10_050;
    const storage = kind.make(new ManualClock(START_MS));
    const alerts = Array.from({ length: count }, (_, index) =>
      toReceipt(alertOf(`a-${index}`), { receivedAtMs: START_MS }),
    );
    const killed = await runOn(storage.connect(), KILLED);
    await expect(killed.line(alerts, START_MS)).rejects.toThrow("killed");

    const store = storage.connect();
    const next = await runOn(store, DONE);
    expect(await next.recover()).toBe(count);
    await next.line(alerts, START_MS);
    expect(await store.listEffects({ limit: 9 })).toEqual([]);
  });
});
