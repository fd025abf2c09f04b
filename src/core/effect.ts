/** An effect: one attempt of an action, as the outbox keeps it. What it acts on is read from the instance's birth when it runs. */
export type Effect = {
  readonly id: string;
  readonly partition: number;
  readonly instanceId: string;
  readonly groupId: string | null;
  readonly attempt: number;
  /** Time of the step that emitted it; in a virtual run also the time of its result. */
  readonly atMs: number;
  /** Virtual runs: the ordinal of its line among those of the same time, and its order of emission. Live: 0. */
  readonly turn: number;
  readonly order: number;
};

export function encodeEffect(effect: Effect): string {
  const { id: _id, partition: _partition, ...rest } = effect;
  return JSON.stringify(rest);
}

export function decodeEffect(stored: { id: string; partition: number; value: string }): Effect {
  return { ...(JSON.parse(stored.value) as Omit<Effect, "id" | "partition">), id: stored.id, partition: stored.partition };
}
