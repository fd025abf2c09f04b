/**
 * Effects whose results come later, by a callback: until when each is waited for. The record lies beside the alerts'
 * episodes, one a partition, so that a process that starts, or takes over, waits on instead of beginning the attempt
 * again. It holds what is waited for now and nothing else.
 */
import type { Effect } from "../../instance/effect.ts";
import { BecalmError } from "../../model/errors.ts";
import type { Store } from "../../stores/store.ts";

/** No episode has this key: theirs begin with a policy's tag. */
export const POSTPONED_KEY = "!postponed";

const CONFLICT_COUNT_MAX = 20;
/** What nobody took out, because the process that waited is gone: it is over for good this long after its end. */
const KEPT_AFTER_END_MS = 3_600_000;

type Postponed = Readonly<Record<string, number>>;

export class PostponedEffects {
  readonly #store: Pick<Store, "load" | "renewEpisodes">;
  readonly #now: () => number;

  constructor(store: Pick<Store, "load" | "renewEpisodes">, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** Until when it is waited for; null: it is not. */
  async untilMs({ id, partition }: Effect): Promise<number | null> {
    const { postponed } = await this.#read(partition);
    return Object.hasOwn(postponed, id) ? (postponed[id] as number) : null;
  }

  add({ id, partition }: Effect, untilMs: number): Promise<void> {
    return this.#change(partition, (postponed) => ({ ...postponed, [id]: untilMs }));
  }

  remove({ id, partition }: Effect): Promise<void> {
    return this.#change(partition, (postponed) =>
      Object.fromEntries(Object.entries(postponed).filter(([one]) => one !== id)),
    );
  }

  async #change(partition: number, change: (postponed: Postponed) => Postponed): Promise<void> {
    for (let conflicts = 0; conflicts < CONFLICT_COUNT_MAX; conflicts += 1) {
      const { postponed, stored } = await this.#read(partition);
      const sinceMs = this.#now() - KEPT_AFTER_END_MS;
      const current = Object.entries(change(postponed)).filter(([, untilMs]) => untilMs > sinceMs);
      const value = JSON.stringify(Object.fromEntries(current));
      if (value === (stored ?? "{}")) return;
      const write = { key: POSTPONED_KEY, value, expected: stored };
      if ((await this.#store.renewEpisodes({ partition, writes: [write] })) === "applied") return;
    }
    const text = `Other processes changed the callbacks of partition ${partition} ${CONFLICT_COUNT_MAX} times in a row. It is tried again.`;
    throw new BecalmError("BECALM_CONFLICT", text, { details: { partition } });
  }

  async #read(partition: number): Promise<{ postponed: Postponed; stored: string | null }> {
    const request = { partition, groupId: null, instanceIds: [], episodeKeys: [POSTPONED_KEY] };
    const stored = (await this.#store.load(request)).episodes.get(POSTPONED_KEY) ?? null;
    return { postponed: stored === null ? {} : (JSON.parse(stored) as Postponed), stored };
  }
}
