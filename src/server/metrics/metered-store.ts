/** A store that is measured: the same calls, each timed or counted. */
import { errorCode } from "../../model/errors.ts";
import type { Commit, CommitOutcome, Store } from "../../stores/store.ts";
import { storeBetween } from "../../stores/store-between.ts";

/** Hears of a store's calls. */
export type StoreMeter = {
  committed(outcome: CommitOutcome, seconds: number): void;
  failed(call: string, code: string): void;
  /** Effects that were put into the outbox, and those whose results are durable. */
  emitted(effectIds: readonly string[]): void;
  settled(effectIds: readonly string[]): void;
  timersFound(dueAtMs: readonly number[]): void;
};

const METERED = [
  "load",
  "members",
  "tally",
  "renewEpisodes",
  "timers",
  "dueTimes",
  "claimEffects",
  "extendClaims",
  "list",
  "history",
  "commit",
] as const;

export function meteredStore(store: Store, meter: StoreMeter): Store {
  const between = new Map<keyof Store, unknown>();
  for (const name of METERED) {
    const call = (store[name] as (request: unknown) => Promise<unknown>).bind(store);
    between.set(name, (request: unknown) => call(request).catch(reported(meter, name)));
  }
  const commit = between.get("commit") as Store["commit"];
  const timers = between.get("timers") as Store["timers"];
  between.set("commit", (request: Commit) => timedCommit(request, commit, meter));
  between.set("timers", async (request: Parameters<Store["timers"]>[0]) => {
    const rows = await timers(request);
    if (rows.length > 0) meter.timersFound(rows.map(({ dueAtMs }) => dueAtMs));
    return rows;
  });
  return storeBetween(store, between);
}

function reported(meter: StoreMeter, call: string): (error: unknown) => never {
  return (error) => {
    meter.failed(call, errorCode(error) ?? "UNEXPECTED");
    throw error;
  };
}

async function timedCommit(request: Commit, commit: Store["commit"], meter: StoreMeter): Promise<CommitOutcome> {
  const startedMs = performance.now();
  const outcome = await commit(request);
  meter.committed(outcome, (performance.now() - startedMs) / 1_000);
  if (outcome === "applied" || outcome === "duplicate") {
    if (request.effects.length > 0) meter.emitted(request.effects.map(({ id }) => id));
    if (request.settledEffectIds.length > 0) meter.settled(request.settledEffectIds);
  }
  return outcome;
}
