/** A worker's attempts by way of BullMQ: what hands them over, and what runs those that come. */
import { AddressGuard } from "./effects/address-guard.ts";
import { BullmqEffects } from "./effects/bullmq/bullmq-effects.ts";
import { JobRunner } from "./effects/bullmq/job-runner.ts";
import { loadBullmq } from "./effects/bullmq/load-bullmq.ts";
import { queuePlaces } from "./effects/bullmq/queue-places.ts";
import type { EffectRequest, OpenEffectPort } from "./effects/effect-port.ts";
import { type LocalEffectOptions, runAwaitedAttempt } from "./effects/local-effects.ts";
import { type Effect, severityOf } from "./instance/effect.ts";
import { messageOf } from "./model/errors.ts";
import type { Runtime } from "./runtime/runtime.ts";
import { overAmong } from "./runtime/workers/attempt-state.ts";
import { rankOf } from "./runtime/workers/chosen-effects.ts";
import { RepeatedFaults } from "./runtime/workers/repeated-faults.ts";
import { hashTags } from "./stores/redis/keys.ts";
import { queueConnection } from "./stores/redis/queue-connection.ts";
import { parseRedisUrl } from "./stores/redis/redis-url.ts";

/**
 * `url`: where BullMQ's Redis is; it need not be the store's. `name`: of the queue; on a cluster there is one a
 * partition. `prefix`: of its keys.
 */
export type QueueOptions = {
  readonly bullmq: {
    readonly url: string;
    /** Default "becalm". */
    readonly name?: string;
    /** Default "bull". */
    readonly prefix?: string;
    /** Does this worker run jobs too, or only hand attempts over and take their results? Default true. */
    readonly runs?: boolean;
  };
};

const QUEUED_COUNT_MAX = 256;
/** After the drain a Redis that is away is waited for no longer than this. */
const ENDED_WITHIN_MS = 1_000;

export type QueuedAttempts = {
  /** So many attempts of one worker lie in BullMQ at once: their claims are prolonged. */
  readonly countMax: number;
  readonly effects: OpenEffectPort;
  readonly runningCount: () => number;
  pause(): void;
  resume(): void;
  /** Lets what is under way end, and takes its results. */
  drain(drainMs: number): Promise<void>;
  close(): Promise<void>;
};

export type QueuedParts = {
  readonly queue: QueueOptions;
  readonly concurrency: number;
  readonly local: LocalEffectOptions & { readonly allowAddresses?: readonly string[] | undefined };
  readonly onFault: (what: string, error: unknown) => void;
};

export async function queuedAttempts(
  runtime: Runtime,
  { queue: { bullmq: at }, concurrency, local, onFault: report }: QueuedParts,
): Promise<QueuedAttempts> {
  const faults = new RepeatedFaults(runtime.clock, report);
  const onFault = (what: string, error: unknown) => {
    const text = `${what}: ${messageOf(error)}`;
    faults.report(text, text, error);
  };
  const bullmq = await loadBullmq();
  const target = parseRedisUrl(at.url);
  const connection = queueConnection(target);
  const tags = target.kind === "cluster" ? hashTags(runtime.partitions) : null;
  const places = queuePlaces(connection.options, { name: at.name ?? "becalm", prefix: at.prefix ?? "bull", tags });
  const { allowAddresses, ...options } = local;
  const running = { ...options, guard: new AddressGuard(allowAddresses) };
  const effects = new BullmqEffects(bullmq, places, {
    priorityOf: ({ kind, alert }) => rankOf({ kind, severity: severityOf(alert) }) + 1,
    onFault,
  });
  const run = (effect: Effect, request: EffectRequest) => runAwaitedAttempt(effect, request, running);
  const isOver = (some: readonly Effect[]) => overAmong(runtime, some);
  const runner =
    at.runs === false ? null : new JobRunner(bullmq, places, { concurrency, run, overAmong: isOver, onFault });
  return {
    countMax: QUEUED_COUNT_MAX,
    effects: effects.open,
    runningCount: () => runner?.runningCount ?? 0,
    pause: () => void runner?.pause(),
    resume: () => runner?.resume(),
    drain: async (drainMs) => {
      const giveUp = setTimeout(() => void connection.giveUp(), drainMs + ENDED_WITHIN_MS);
      await runner?.drain(drainMs);
      await effects.look();
      clearTimeout(giveUp);
      await connection.giveUp();
    },
    close: async () => {
      await runner?.close();
      await effects.close();
      connection.close();
    },
  };
}
