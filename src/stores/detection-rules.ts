/**
 * The rules of detection/detection-store.ts that every store keeps in the same words. Pure; called before anything is
 * written.
 */
import type { DetectionCommit, SequencePage, SeriesLevel } from "../detection/detection-store.ts";
import { invalid } from "./store-rules.ts";

/** Throws when a commit breaks a rule of the port. */
export function requireValidDetectionCommit(commit: DetectionCommit): void {
  const { commitId, expectedVersion, groups, checkpoints, checkResults } = commit;
  if (!/^[^\s]{1,200}$/.test(commitId))
    throw invalid("A commit of detection needs an id without spaces. Give every commit one of its own.");
  if (!Number.isSafeInteger(expectedVersion) || expectedVersion < 0)
    throw invalid(
      `The expected version is ${expectedVersion}. Use 0 for a new stream, else the version that was loaded.`,
    );
  requireTime(commit.atMs, "time of the commit");
  if (commit.keepCount !== undefined && (!Number.isSafeInteger(commit.keepCount) || commit.keepCount < 1))
    throw invalid(`${commit.keepCount} alerts cannot be kept. Use a whole number of at least 1.`);
  requireDistinct(commit.piecesPut.map(([name]) => name).concat(commit.piecesRemoved), "piece");
  const groupKeys = groups.map(({ key }) => key);
  requireDistinct(groupKeys, "strategy group");
  if (groupKeys.includes("")) throw invalid("A strategy group has no key. Take it from the group.");
  for (const group of groups) {
    if (group.newestTime !== null) requireTime(group.newestTime, `newest time of the group ${group.key}`);
    if (!Number.isSafeInteger(group.seenTtlMs) || group.seenTtlMs < 1)
      throw invalid(`Record ids cannot live ${group.seenTtlMs} ms. Use a whole number of at least 1.`);
    for (const [time] of group.seenAdded) requireTime(time, "time of a record id");
  }
  for (const { time } of checkpoints) requireTime(time, "time of a checkpoint");
  requireDistinct(checkpoints.map(levelName), "checkpoint");
  requireDistinct(
    checkResults.map(({ of }) => levelName(of)),
    "list of check results",
  );
  for (const { rows, keepCount } of checkResults) {
    if (!Number.isSafeInteger(keepCount) || keepCount < 1)
      throw invalid(`${keepCount} check results cannot be kept. Use a whole number of at least 1.`);
    for (const { time } of rows) requireTime(time, "time of a check result");
  }
}

/** Throws for a time that is not a number of seconds or milliseconds. */
export function requireTime(time: number, what: string): void {
  if (!Number.isFinite(time) || time < 0) throw invalid(`The ${what} is ${time}. Use a finite number of at least 0.`);
}

export function requireSequencePage({ fromSeq, limit }: SequencePage): void {
  if (Number.isSafeInteger(fromSeq) && fromSeq >= 1 && Number.isSafeInteger(limit) && limit >= 0) return;
  throw invalid(`There is no page of ${limit} from number ${fromSeq}. Numbers count from 1.`);
}

/** Names of streams, as of namespaces. */
export function requireStreamName(stream: string): void {
  if (/^[A-Za-z0-9._-]{1,64}$/.test(stream)) return;
  throw invalid(
    `The stream ${JSON.stringify(stream)} is not a valid name. Use 1 to 64 letters, digits, ".", "_" or "-".`,
  );
}

/** Tells levels apart; throws for one that lacks a part, because no key could be made of it. */
function levelName({ strategyId, itemId, dimensionsMd5, level }: SeriesLevel): string {
  if ([strategyId, itemId, dimensionsMd5, level].includes(""))
    throw invalid(`A level of the strategy ${JSON.stringify(strategyId)} lacks a part of its name. Give all four.`);
  return `${strategyId}\n${itemId}\n${dimensionsMd5}\n${level}`;
}

function requireDistinct(names: readonly string[], what: string): void {
  if (new Set(names).size === names.length) return;
  throw invalid(`A commit of detection names a ${what} twice. Put all that is meant for it together.`);
}
