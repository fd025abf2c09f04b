/**
 * What a policy may say beside its action and its rule: to verify, to decide again, to observe, a quorum and a brake.
 * Absent keys stay absent.
 */
import type { Again } from "../model/instance-types.ts";
import {
  AGAIN_AFTER_MS_MAX,
  AGAIN_AFTER_MS_MIN,
  AGAIN_LIMIT_DEFAULT,
  AGAIN_LIMIT_MAX,
  BRAKE_COUNT_MAX,
  BRAKE_PER_MS_MAX,
  QUORUM_MAX,
  VERIFY_MS_MAX,
} from "../model/limits.ts";
import type { Limits, Policy } from "../policy/policy.ts";
import {
  describe,
  type Field,
  type Fields,
  type MistakeReport,
  readDuration,
  readFields,
  readNumber,
  readWord,
} from "./field-reader.ts";
import { POLICY_FILE_KEYS } from "./policy-keys.ts";

export type PolicyOptions = Pick<Policy, "verify" | "afterSilence" | "again" | "mode" | "limits">;

/** undefined: a mistake was reported. */
export function readPolicyOptions(
  fields: Fields<(typeof POLICY_FILE_KEYS.policy)[number]>,
  report: MistakeReport,
): PolicyOptions | undefined {
  const verify = readVerify(fields.get("verify"), report);
  const afterSilence = readAfterSilence(fields.get("after_silence"), report);
  const again = readAgain(fields.get("again"), report);
  const mode = readMode(fields.get("mode"), report);
  const limits = readLimits(fields.get("limits"), report);
  if (verify === undefined || afterSilence === undefined || again === undefined) return undefined;
  if (mode === undefined || limits === undefined) return undefined;
  return {
    ...(verify === null ? {} : { verify }),
    ...(afterSilence === "skip" ? { afterSilence } : {}),
    ...(again === null ? {} : { again }),
    ...(mode === "observe" ? { mode } : {}),
    ...(limits === null ? {} : { limits }),
  };
}

function readVerify(field: Field, report: MistakeReport): NonNullable<Policy["verify"]> | null | undefined {
  if (isAbsent(field)) return null;
  const fields = readFields(field, POLICY_FILE_KEYS.verify, report);
  if (fields === undefined) return undefined;
  const resolvedWithinMs = readDuration(fields.get("resolved_within"), { minMs: 1, maxMs: VERIFY_MS_MAX }, report);
  return resolvedWithinMs === undefined ? undefined : { resolvedWithinMs };
}

function readAfterSilence(field: Field, report: MistakeReport): "decide" | "skip" | undefined {
  return isAbsent(field) ? "decide" : readWord(field, ["decide", "skip"] as const, report);
}

function readAgain(field: Field, report: MistakeReport): Again | null | undefined {
  if (isAbsent(field)) return null;
  const fields = readFields(field, POLICY_FILE_KEYS.again, report);
  if (fields === undefined) return undefined;
  const limitField = fields.get("limit");
  const afterMs = readDuration(fields.get("after"), { minMs: AGAIN_AFTER_MS_MIN, maxMs: AGAIN_AFTER_MS_MAX }, report);
  const limit = isAbsent(limitField)
    ? AGAIN_LIMIT_DEFAULT
    : readNumber(limitField, { min: 1, max: AGAIN_LIMIT_MAX, isWhole: true }, report);
  return afterMs === undefined || limit === undefined ? undefined : { afterMs, limit };
}

function readMode(field: Field, report: MistakeReport): "act" | "observe" | undefined {
  return isAbsent(field) ? "act" : readWord(field, ["act", "observe"] as const, report);
}

/** A brake, of a policy or of the whole file. null: none. */
export function readLimits(field: Field, report: MistakeReport): Limits | null | undefined {
  if (isAbsent(field)) return null;
  const fields = readFields(field, POLICY_FILE_KEYS.limits, report);
  if (fields === undefined) return undefined;
  const actions = readCount(fields.get("actions"), report);
  const failures = readCount(fields.get("failures"), report);
  const perMs = readDuration(fields.get("per"), { minMs: 1_000, maxMs: BRAKE_PER_MS_MAX }, report);
  if (actions === undefined || failures === undefined || perMs === undefined) return undefined;
  if (actions === null && failures === null)
    return report.add(field, "`actions`, `failures` or both", describe(field.value));
  return { ...(actions === null ? {} : { actions }), ...(failures === null ? {} : { failures }), perMs };
}

function readCount(field: Field, report: MistakeReport): number | null | undefined {
  return isAbsent(field) ? null : readNumber(field, { min: 1, max: BRAKE_COUNT_MAX, isWhole: true }, report);
}

/** How many people must grant an approval. */
export function readQuorum(field: Field, report: MistakeReport): number | undefined {
  return isAbsent(field) ? 1 : readNumber(field, { min: 1, max: QUORUM_MAX, isWhole: true }, report);
}

function isAbsent(field: Field): boolean {
  return field.value === undefined;
}
