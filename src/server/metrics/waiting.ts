/**
 * What waits in the namespace: for a person, for a peer, for a process that begins it. This costs reads of the store:
 * it is asked when somebody reads the metrics, and no more often than every 10 s. A store that is silent does not hold
 * up the other metrics.
 */
import { setTimeout as after } from "node:timers/promises";
import { Gauge, type Registry } from "prom-client";
import type { Engine } from "../../engine.ts";
import { glanceAt } from "../../instance/checkpoint-glance.ts";
import { decodeEffect } from "../../instance/effect.ts";
import { OPEN_STATES } from "../../instance/open-index.ts";
import { partitionOf } from "../../model/ids.ts";
import { LIST_PAGE_COUNT_MAX } from "../../model/limits.ts";
import { NAMESPACE_FORMAT, RAISED_FORMAT, type Store } from "../../stores/store.ts";

/** What is not known is NaN. `open`: instances that are not at rest, by state. */
export type Waiting = {
  readonly approvals: number;
  /** null: there is none. */
  readonly oldestApprovalAtMs: number | null;
  readonly open: Readonly<Record<string, number>>;
  readonly deadLetters: number;
  /** Attempts that no process has begun. */
  readonly attempts: number;
  readonly oldestAttemptAtMs: number | null;
};

const ATTEMPTS_OF_PARTITION_MAX = 100;
const GROUPS_ASKED_MAX = 100;
const ASKED_EVERY_MS = 10_000;
const ANSWER_MS_MAX = 1_000;

const UNKNOWN: Waiting = {
  approvals: Number.NaN,
  oldestApprovalAtMs: Number.NaN,
  open: Object.fromEntries(OPEN_STATES.map((state) => [state, Number.NaN])),
  deadLetters: Number.NaN,
  attempts: Number.NaN,
  oldestAttemptAtMs: Number.NaN,
};

type OpenState = (typeof OPEN_STATES)[number];

const NO_NAMESPACE = { partitions: 0, format: NAMESPACE_FORMAT };

/** `store`: the engine's. */
export async function waitingNow(engine: Engine, store: Store): Promise<Waiting> {
  const { partitions, format } = (await store.open({})) ?? NO_NAMESPACE;
  // What earlier versions made is not counted anywhere: a list finds it, a page of it at most.
  const countOf = async (state: OpenState) =>
    format >= RAISED_FORMAT
      ? store.countOpen(state)
      : (await engine.list({ state, limit: LIST_PAGE_COUNT_MAX })).instances.length;
  const counts = await Promise.all(OPEN_STATES.map(async (state) => [state, await countOf(state)] as const));
  const open = Object.fromEntries(counts) as Record<OpenState, number>;
  const ages =
    format >= RAISED_FORMAT
      ? await heldSince(store, { partitions, count: open.Waiting })
      : (await engine.list({ state: "Waiting", limit: LIST_PAGE_COUNT_MAX })).instances.map(({ atMs }) => atMs);
  const deadLetters = (await engine.deadLetters({ limit: LIST_PAGE_COUNT_MAX })).length;
  return {
    approvals: open.Waiting,
    oldestApprovalAtMs: ages.length === 0 ? null : Math.min(...ages),
    open,
    deadLetters,
    ...(await waitingAttempts(store, partitions)),
  };
}

/**
 * Since when some wait for a person, whoever waits longest among them: from checkpoints alone, for this is asked again
 * and again. A page has the newest. When there are more, the first that each of its groups holds has waited longer.
 */
async function heldSince(
  store: Store,
  { partitions, count }: { readonly partitions: number; readonly count: number },
): Promise<number[]> {
  if (count === 0) return [];
  const { instances, next } = await store.list({ limit: LIST_PAGE_COUNT_MAX, under: "Waiting" });
  const glances = instances.flatMap(({ value }) => glanceAt(value) ?? []);
  const ages = glances.map(({ atMs }) => atMs);
  if (next === null) return ages;
  const groups = [...new Set(glances.flatMap(({ groupId }) => groupId ?? []))].slice(0, GROUPS_ASKED_MAX);
  const firsts = groups.map(async (groupId) => {
    const partition = partitionOf(groupId, partitions);
    const [id] = await store.members({ groupId, partition, set: "held", limit: 1, offset: 0 });
    // It may be gone by now.
    if (id === undefined) return [];
    const { instances: held } = await store.load({ partition, groupId: null, instanceIds: [id] });
    return [...held.values()].flatMap(({ value }) => glanceAt(value)?.atMs ?? []);
  });
  return [...ages, ...(await Promise.all(firsts.map((first) => first.catch(() => [])))).flat()];
}

/** Those of each partition come in the order in which they became free. What cannot be reached is left out, as in lists. */
async function waitingAttempts(
  store: Store,
  partitions: number,
): Promise<Pick<Waiting, "attempts" | "oldestAttemptAtMs">> {
  const limit = ATTEMPTS_OF_PARTITION_MAX;
  const free = await Promise.all(
    Array.from({ length: partitions }, (_, partition) =>
      store.outbox.free({ partition, after: null, limit }).catch(() => []),
    ),
  );
  const oldest = free.flatMap(([first]) => (first === undefined ? [] : [decodeEffect(first).atMs]));
  return {
    attempts: free.reduce((sum, { length }) => sum + length, 0),
    oldestAttemptAtMs: oldest.length === 0 ? null : Math.min(...oldest),
  };
}

class LastKnown {
  readonly #waiting: () => Promise<Waiting>;
  readonly #now: () => number;
  #last = UNKNOWN;
  #asking: Promise<void> | null = null;
  #askedAtMs = Number.NEGATIVE_INFINITY;

  constructor(waiting: () => Promise<Waiting>, now: () => number) {
    this.#waiting = waiting;
    this.#now = now;
  }

  async read(): Promise<Waiting> {
    if (this.#asking === null && this.#now() - this.#askedAtMs > ASKED_EVERY_MS) {
      this.#askedAtMs = this.#now();
      this.#asking = this.#ask();
    }
    if (this.#asking !== null) await Promise.race([this.#asking, after(ANSWER_MS_MAX, undefined, { ref: false })]);
    return this.#last;
  }

  async #ask(): Promise<void> {
    this.#last = await this.#waiting().catch(() => UNKNOWN);
    this.#asking = null;
  }
}

type Sources = { readonly waiting: () => Promise<Waiting>; readonly now: () => number };

export function addWaiting(registers: Registry[], { waiting, now }: Sources): void {
  const known = new LastKnown(waiting, now);
  const gauge = (name: string, help: string, value: (waiting: Waiting) => number) =>
    new Gauge({
      name,
      help,
      registers,
      async collect() {
        this.set(value(await known.read()));
      },
    });
  const ageOf = (atMs: number | null) => (atMs === null ? 0 : Math.max(now() - atMs, 0) / 1_000);
  new Gauge({
    name: "becalm_instances",
    help: "Instances that are not at rest, by state.",
    labelNames: ["state"],
    registers,
    async collect() {
      for (const [state, count] of Object.entries((await known.read()).open)) this.set({ state }, count);
    },
  });
  gauge(
    "becalm_dead_letters",
    "Attempts that are set aside: delivered again and again without a result; at most 1000 are counted.",
    ({ deadLetters }) => deadLetters,
  );
  gauge("becalm_approvals_waiting", "Instances that wait for a person.", ({ approvals }) => approvals);
  gauge(
    "becalm_approvals_oldest_age_seconds",
    "How long the one that waits longest has waited; 0: nobody waits.",
    ({ oldestApprovalAtMs }) => ageOf(oldestApprovalAtMs),
  );
  gauge(
    "becalm_outbox_effects",
    "Attempts in the outbox that no process has begun; at most 100 of a partition are counted.",
    ({ attempts }) => attempts,
  );
  gauge(
    "becalm_outbox_oldest_age_seconds",
    "How long the one that has waited longest has waited; 0: none waits.",
    ({ oldestAttemptAtMs }) => ageOf(oldestAttemptAtMs),
  );
}
