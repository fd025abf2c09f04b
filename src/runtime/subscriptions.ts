import type { Instance } from "../instance/checkpoint.ts";
import type { InstanceSnapshot } from "../instance/instance-snapshot.ts";
import { BecalmError } from "../model/errors.ts";
import type { Clock } from "../system/clock.ts";

/** How often an instance that somebody watches is read again, for steps that other processes commit. */
const POLLED_EVERY_MS = 1_000;

type Listener<S> = (snapshot: S) => void;
/** `signal`: stops waiting; the promise rejects with its reason. */
export type WaitOptions<S> = {
  readonly predicate: (snapshot: S) => boolean;
  /** Default 30 s. */
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
};

const WAIT_MS = 30_000;
const NO_PREDICATE =
  'waitFor takes a function of a snapshot, such as (snapshot) => snapshot.state === "Success", and { timeoutMs, signal } second.';

type Watch<S> = { readonly listeners: Set<Listener<S>>; version: number; cancel: () => void };

/** Subscribers to an instance's steps. Commits of this process are reported at once, others are found by polling. */
export class Subscriptions<S extends InstanceSnapshot> {
  readonly #clock: Clock;
  readonly #snapshotOf: (instance: Instance) => S;
  readonly #read: (id: string) => Promise<S>;
  readonly #onFault: (error: unknown) => void;
  readonly #watches = new Map<string, Watch<S>>();
  /** Ends each wait that is still pending. */
  readonly #waits = new Set<(error: unknown) => void>();

  /**
   * `snapshotOf`: what listeners get of an instance. `onFault` is told what they throw: it is their program's business,
   * never the engine's.
   */
  constructor(
    clock: Clock,
    options: {
      snapshotOf: (instance: Instance) => S;
      read: (id: string) => Promise<Instance>;
      onFault: (error: unknown) => void;
    },
  ) {
    this.#clock = clock;
    this.#snapshotOf = options.snapshotOf;
    this.#read = async (id) => options.snapshotOf(await options.read(id));
    this.#onFault = options.onFault;
  }

  subscribe(id: string, listener: Listener<S>): () => void {
    const watch = this.#watches.get(id) ?? this.#watch(id);
    watch.listeners.add(listener);
    return () => {
      watch.listeners.delete(listener);
      if (watch.listeners.size > 0 || this.#watches.get(id) !== watch) return;
      watch.cancel();
      this.#watches.delete(id);
    };
  }

  /** Reports a commit of this process. Snapshots are made only of instances that somebody watches. */
  publish(changed: readonly { readonly instance: Instance }[]): void {
    if (this.#watches.size === 0) return;
    for (const { instance } of changed) {
      const watch = this.#watches.get(instance.id);
      if (watch !== undefined) this.#tell(watch, this.#snapshotOf(instance));
    }
  }

  waitFor(id: string, { predicate, timeoutMs = WAIT_MS, signal }: WaitOptions<S>): Promise<S> {
    if (typeof predicate !== "function")
      return Promise.reject(new BecalmError("BECALM_ARGUMENT_INVALID", NO_PREDICATE));
    if (signal?.aborted === true) return Promise.reject(signal.reason as Error);
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        unsubscribe();
        cancel();
        signal?.removeEventListener("abort", abort);
        this.#waits.delete(fail);
        act();
      };
      const fail = (error: unknown) => settle(() => reject(error as Error));
      const abort = () => fail(signal?.reason);
      const look = (snapshot: S) => {
        try {
          if (predicate(snapshot)) settle(() => resolve(snapshot));
        } catch (error) {
          fail(error);
        }
      };
      const cancel = this.#clock.schedule(timeoutMs, () => fail(tooLate(id, timeoutMs)));
      const unsubscribe = this.subscribe(id, look);
      signal?.addEventListener("abort", abort, { once: true });
      this.#waits.add(fail);
      this.#read(id).then(look, fail);
    });
  }

  /** Nothing follows any longer; whoever waits still learns that nothing will come. */
  close(): void {
    for (const fail of Array.from(this.#waits))
      fail(new BecalmError("BECALM_STOPPED", "The engine stopped while this call waited. Ask an engine that runs."));
    for (const watch of this.#watches.values()) watch.cancel();
    this.#watches.clear();
  }

  #watch(id: string): Watch<S> {
    const watch: Watch<S> = { listeners: new Set(), version: 0, cancel: () => {} };
    const poll = () => {
      this.#read(id)
        .then((snapshot) => this.#tell(watch, snapshot))
        .catch(() => {})
        .finally(() => {
          if (this.#watches.get(id) === watch) watch.cancel = this.#clock.schedule(POLLED_EVERY_MS, poll);
        });
    };
    watch.cancel = this.#clock.schedule(POLLED_EVERY_MS, poll);
    this.#watches.set(id, watch);
    return watch;
  }

  /** A version is reported once, and never after a later one. */
  #tell(watch: Watch<S>, snapshot: S): void {
    if (snapshot.version <= watch.version) return;
    watch.version = snapshot.version;
    // A listener may end its own watch or begin another one: those that are there now are called.
    for (const listener of Array.from(watch.listeners)) {
      try {
        listener(snapshot);
      } catch (error) {
        this.#onFault(error);
      }
    }
  }
}

function tooLate(id: string, timeoutMs: number): BecalmError {
  return new BecalmError(
    "BECALM_WAIT_TIMEOUT",
    `Instance ${id} did not get there within ${timeoutMs} ms. Look at its history, or wait longer.`,
    { details: { id } },
  );
}
