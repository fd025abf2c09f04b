/**
 * What a notice is about, read when it is sent: the instance that waits for a person, or the one that opened the
 * summarised group.
 */
import type { NoticeSubject } from "../../effects/effect-port.ts";
import { birthOf, decodeHistory } from "../../instance/audit.ts";
import type { Notice } from "../../instance/audit-types.ts";
import { BecalmError } from "../../model/errors.ts";
import { partitionOf } from "../../model/ids.ts";
import { HELD_DUE_AT_MS } from "../../model/instance-types.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import type { Runtime } from "../runtime.ts";

/** A number that a person reads: beyond it "at least" says as much. */
export const HELD_COUNT_MAX = 1_000;

/** The instance whose alert says what a notice is about; of several, the one that asked first. */
export function subjectIdOf(notice: Notice): string {
  return notice.kind === "summary" ? notice.opener : notice.instance;
}

/** null: what it is about is gone, or cannot be read; the notice is sent all the same. */
export async function noticeSubject(runtime: Runtime, notice: Notice): Promise<NoticeSubject | null> {
  const id = subjectIdOf(notice);
  const lines = await runtime.store.history(id);
  if (lines === null || lines.length === 0) return null;
  try {
    const { policy, policyVersion } = birthOf(id, lines);
    const known = runtime.versions.get(policyKey({ name: policy, version: policyVersion }));
    if (known === undefined) return null;
    return { history: decodeHistory(id, lines, known.policy), heldCount: await heldCount(runtime, notice) };
  } catch (error) {
    if (error instanceof BecalmError && error.code === "BECALM_HISTORY_BROKEN") return null;
    throw error;
  }
}

/** How many one answer for the group decides, at most HELD_COUNT_MAX; null: a summary asks for none. */
async function heldCount({ store, partitions }: Runtime, notice: Notice): Promise<number | null> {
  if (notice.kind === "summary") return null;
  if (notice.pause !== undefined) {
    const fromMs = HELD_DUE_AT_MS + notice.pause.sinceMs;
    return (await store.timers({ lane: "approval", fromMs, untilMs: Infinity, limit: HELD_COUNT_MAX })).length;
  }
  if (notice.group === null) return 1;
  const partition = partitionOf(notice.group, partitions);
  const held = await store.members({ groupId: notice.group, partition, set: "held", limit: HELD_COUNT_MAX });
  return held.length;
}
