import type { CheckpointKeys } from "../../detection/core/checkpoint-keys.ts";
import type { DetectionCommit, GroupTaking } from "../../detection/detection-store.ts";
import type { ScriptArguments } from "./commit-arguments.ts";
import type { DetectionKeys } from "./keys.ts";

type ScriptArgument = string | number;

/** A valid commit as KEYS and ARGV of commit-detection.lua; its head has the layout. */
export function detectionCommitArguments(
  commit: DetectionCommit,
  own: DetectionKeys,
  keysOf: CheckpointKeys,
): ScriptArguments {
  const { groups, checkResults, piecesPut, piecesRemoved, alerts, auditEvents } = commit;
  const { STRATEGY_CHECKPOINT, ACCESS_RUN_TIMESTAMP, ACCESS_DUPLICATE, LAST_CHECKPOINTS, CHECK_RESULT } = keysOf;
  const strategies = checkpointRows(commit, keysOf);
  const keys = [own.stream, own.pieces, own.alerts, own.auditEvents];
  for (const { key } of groups) {
    const parameters = { strategyGroupKey: key };
    keys.push(
      STRATEGY_CHECKPOINT.key(parameters),
      ACCESS_RUN_TIMESTAMP.key(parameters),
      ACCESS_DUPLICATE.key(parameters),
    );
  }
  keys.push(...strategies.keys());
  for (const { of } of checkResults) keys.push(CHECK_RESULT.key(of));
  const args: ScriptArgument[] = [
    commit.expectedVersion,
    commit.commitId,
    commit.atMs,
    STRATEGY_CHECKPOINT.ttlMs,
    ACCESS_RUN_TIMESTAMP.ttlMs,
    LAST_CHECKPOINTS.ttlMs,
    CHECK_RESULT.ttlMs,
    piecesPut.length,
    piecesRemoved.length,
    alerts.length,
    auditEvents.length,
    groups.length,
    strategies.size,
    checkResults.length,
    commit.keepCount ?? "",
  ];
  for (const [name, value] of piecesPut) args.push(name, value);
  for (const text of [piecesRemoved, alerts, auditEvents].flat()) args.push(text);
  for (const group of groups) addGroup(args, group);
  for (const fields of strategies.values()) {
    args.push(fields.length / 2);
    for (const field of fields) args.push(field);
  }
  for (const { rows, keepCount } of checkResults) {
    args.push(keepCount, rows.length);
    // The time in the member keeps equal results of different times apart.
    for (const { time, text } of rows) args.push(time, `${time} ${text}`);
  }
  return { keys, args };
}

function addGroup(args: ScriptArgument[], group: GroupTaking): void {
  args.push(group.newestTime ?? "", group.seenForgottenBefore ?? "", group.seenTtlMs, group.seenAdded.length);
  for (const [time, recordId] of group.seenAdded) args.push(time, recordId);
}

/** By key of LAST_CHECKPOINTS: field, time, field, time ... */
function checkpointRows(
  { checkpoints }: DetectionCommit,
  { LAST_CHECKPOINTS }: CheckpointKeys,
): Map<string, ScriptArgument[]> {
  const byKey = new Map<string, ScriptArgument[]>();
  for (const checkpoint of checkpoints) {
    const key = LAST_CHECKPOINTS.key(checkpoint);
    const fields = byKey.get(key) ?? [];
    if (fields.length === 0) byKey.set(key, fields);
    fields.push(LAST_CHECKPOINTS.field(checkpoint), checkpoint.time);
  }
  return byKey;
}
