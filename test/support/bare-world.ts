import { randomUUID } from "node:crypto";
import { commitIds } from "../../src/engine.ts";
import { type PolicyInput, policySetFrom } from "../../src/formats/policy-file.ts";
import type { Decision } from "../../src/instance/decide.ts";
import { openWorld } from "../../src/runtime/open-world.ts";
import type { World } from "../../src/runtime/world.ts";
import type { NamespaceMode, Store } from "../../src/stores/store.ts";
import { pause, systemClock } from "../../src/system/system-clock.ts";

/** What the runtime works with, without an engine around it: a process of its own that runs no effects. */
export async function bareWorld(
  store: Store,
  more: { mode: NamespaceMode; policies: PolicyInput; committed?: (decision: Decision) => void },
): Promise<World> {
  const { world } = await openWorld({
    store,
    clock: systemClock(),
    owner: randomUUID(),
    commitId: commitIds(),
    pause,
    random: Math.random,
    effectClaimMs: () => null,
    committed: more.committed ?? (() => {}),
    mode: more.mode,
    policies: policySetFrom(more.policies),
  });
  return world;
}
