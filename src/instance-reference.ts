/** One instance of an engine, as programs hold it. */
import type { ExplainedSnapshot, WatchedSnapshot } from "./explained-snapshot.ts";
import type { History } from "./instance/audit-types.ts";
import type { EventInput } from "./instance/event-input.ts";

/** One instance, addressed by its id. */
export type InstanceReference = {
  readonly id: string;
  /**
   * Sends an event; resolves when it is committed. Rejects with BECALM_EVENT_REFUSED when the state has no edge for it,
   * and with BECALM_VERSION_MOVED when the instance is at none of the versions `ifVersion` any more.
   */
  send(event: EventInput, options?: { readonly ifVersion?: readonly number[] }): Promise<ExplainedSnapshot>;
  /** The checkpoint, with the alert's labels and the sentence that says why. */
  snapshot(): Promise<ExplainedSnapshot>;
  /** Birth (the alert is there) and audit entries, oldest first. */
  history(): Promise<History>;
  /**
   * Calls `fn` with every snapshot from now on, also of steps that other processes commit; `await snapshot.explain()`
   * adds labels and sentence. Returns what ends it.
   */
  subscribe(fn: (snapshot: WatchedSnapshot) => void): () => void;
  /**
   * Resolves with the first snapshot, the present one included, that `predicate` accepts. Rejects with
   * BECALM_WAIT_TIMEOUT after `timeoutMs` (default 30 s), with BECALM_STOPPED if the engine is stopped, and with the
   * signal's reason if that is aborted.
   */
  waitFor(
    predicate: (snapshot: WatchedSnapshot) => boolean,
    options?: { readonly timeoutMs?: number; readonly signal?: AbortSignal },
  ): Promise<WatchedSnapshot>;
};
