/**
 * A snapshot with what its checkpoint does not say: the alert's labels, and why it is as it is. Both stand in the
 * history.
 */
import type { History } from "./instance/audit-types.ts";
import type { Instance } from "./instance/checkpoint.ts";
import { type InstanceSnapshot, toSnapshot } from "./instance/instance-snapshot.ts";
import { type BecalmError, errorCode } from "./model/errors.ts";
import { type Sentence, sentenceOf } from "./present/sentences.ts";

export type ExplainedSnapshot = InstanceSnapshot & {
  /** Of its alert; null: the engine made the instance itself (a summary, a request), or its history cannot be read. */
  readonly labels: Readonly<Record<string, string>> | null;
  /**
   * Why the instance is where it is, as `becalm show` says it, in English (`en`) and Chinese (`zh`); null: its history
   * cannot be read.
   */
  readonly sentence: Sentence | null;
};

export type InstancePage = {
  readonly instances: readonly ExplainedSnapshot[];
  readonly quarantined: readonly { readonly id: string; readonly version: number; readonly error: BecalmError }[];
  readonly next: string | null;
  /** Partitions that could not be asked: their instances are missing. Absent: all were asked. */
  readonly unreached?: readonly number[];
};

/** Where histories are read. */
export type Histories = { history(id: string): Promise<History> };

/**
 * What a listener gets. `explain()` adds labels and sentence: it reads the history, once, and only if it is called. It
 * is no part of what is printed, copied or compared.
 */
export type WatchedSnapshot = InstanceSnapshot & { explain(): Promise<ExplainedSnapshot> };

export function watchedSnapshot(histories: Histories, instance: Instance): WatchedSnapshot {
  const snapshot = toSnapshot(instance);
  let explained: Promise<ExplainedSnapshot> | null = null;
  const explain = () => (explained ??= explainedOf(histories, snapshot));
  return Object.defineProperty(snapshot, "explain", { value: explain }) as WatchedSnapshot;
}

export function explainedSnapshot(histories: Histories, instance: Instance): Promise<ExplainedSnapshot> {
  return explainedOf(histories, toSnapshot(instance));
}

async function explainedOf(histories: Histories, snapshot: InstanceSnapshot): Promise<ExplainedSnapshot> {
  const history = await histories.history(snapshot.id).catch(nullIfUnreadable);
  // Its history may have gone on since.
  const last = history?.entries.findLast(({ version }) => version <= snapshot.version);
  return {
    ...snapshot,
    labels: history?.birth.alert?.labels ?? null,
    sentence: history === null || last === undefined ? null : sentenceOf(last, history),
  };
}

export function explainAll(histories: Histories, instances: readonly Instance[]): Promise<ExplainedSnapshot[]> {
  return Promise.all(instances.map((instance) => explainedSnapshot(histories, instance)));
}

function nullIfUnreadable(error: unknown): null {
  const code = errorCode(error);
  if (code === "BECALM_HISTORY_BROKEN" || code === "BECALM_NOT_FOUND") return null;
  throw error;
}
