/**
 * One virtual run at a time on a namespace: two would run the same effects, and their output would depend on who was
 * faster.
 *
 * A run holds a short lease and renews it; one that was killed stops renewing, so the next waits for a moment and goes
 * on. The lease is no safety: that is the compare-and-set of each commit.
 */

import { BecalmError } from "../model/errors.ts";
import type { Store } from "../stores/store.ts";
import { pause } from "../system/system-clock.ts";

const LEASE_MS = 2_000;
/** The shortest lease that there is. */
const ENDS_AT_ONCE_MS = 1;
const RENEWED_EVERY_MS = 500;
const RETRIED_EVERY_MS = 100;

export type RunLease = {
  /** Throws when somebody else has taken it, which takes a pause of this process longer than the lease. */
  check(): void;
  release(): Promise<void>;
};

/** @throws BECALM_NAMESPACE_BUSY when another run keeps renewing its lease. */
export async function takeRunLease(
  store: Store,
  { owner, namespace }: { owner: string; namespace: string },
): Promise<RunLease> {
  const lease = (ttlMs: number) => store.leaseRun({ owner, ttlMs });
  // A lease is given back by making it end at once: the next run need not wait for its end.
  const giveBack = () => lease(ENDS_AT_ONCE_MS).catch(() => false);
  const deadlineMs = performance.now() + LEASE_MS + 10 * RETRIED_EVERY_MS;
  while (!(await lease(LEASE_MS))) {
    if (performance.now() > deadlineMs) throw busy(namespace);
    await pause(RETRIED_EVERY_MS);
  }
  let isLost = false;
  const renew = () =>
    void lease(LEASE_MS).then(
      (isOurs) => (isLost ||= !isOurs),
      () => {},
    );
  const timer = setInterval(renew, RENEWED_EVERY_MS).unref();
  return {
    check: () => {
      if (isLost) throw busy(namespace);
    },
    release: async () => {
      clearInterval(timer);
      if (!isLost) await giveBack();
    },
  };
}

function busy(namespace: string): BecalmError {
  return new BecalmError(
    "BECALM_NAMESPACE_BUSY",
    `Another virtual run works on the namespace "${namespace}". Wait for it to end, or give another --namespace.`,
    { details: { namespace } },
  );
}
