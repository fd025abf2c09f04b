import { compose } from "../../src/compose.ts";
import { type PolicyInput, policySetFrom } from "../../src/formats/policy-file.ts";
import type { BatchRuntime } from "../../src/runtime/runtime.ts";
import { brakesOf } from "../../src/runtime/stops/brake-duties.ts";
import type { NamespaceMode, Store } from "../../src/stores/store.ts";

/** What batches run on, without a driver around it: a process of its own that runs no effects. */
export async function bareRuntime(
  store: Store,
  { mode, policies }: { mode: NamespaceMode; policies: PolicyInput },
): Promise<BatchRuntime> {
  const runtime = await compose({ store, mode, policies: policySetFrom(policies) });
  return {
    ...runtime,
    onCommit: [],
    effectClaimMs: () => null,
    followBrakes: brakesOf(runtime),
  };
}
