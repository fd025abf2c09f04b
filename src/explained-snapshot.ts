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

/** `histories`: where histories are read. */
export async function explainedSnapshot(
  histories: { history(id: string): Promise<History> },
  instance: Instance,
): Promise<ExplainedSnapshot> {
  const history = await histories.history(instance.id).catch(nullIfUnreadable);
  // Its history may have gone on since.
  const last = history?.entries.findLast(({ version }) => version <= instance.version);
  return {
    ...toSnapshot(instance),
    labels: history?.birth.alert?.labels ?? null,
    sentence: history === null || last === undefined ? null : sentenceOf(last, history),
  };
}

export function explainAll(
  histories: { history(id: string): Promise<History> },
  instances: readonly Instance[],
): Promise<ExplainedSnapshot[]> {
  return Promise.all(instances.map((instance) => explainedSnapshot(histories, instance)));
}

function nullIfUnreadable(error: unknown): null {
  const code = errorCode(error);
  if (code === "BECALM_HISTORY_BROKEN" || code === "BECALM_NOT_FOUND") return null;
  throw error;
}
