/**
 * The detection store of a run that nobody will go on with and that tells its alerts at once: a commit is checked and
 * counted, and nothing of it is kept. So memory holds what detection itself remembers, once, however many records come.
 */
import type { DetectionStore } from "../../detection/detection-store.ts";
import { requireValidDetectionCommit } from "../detection-rules.ts";
import { invalid } from "../store-rules.ts";

/** A new stream for one process. What was committed cannot be read, and `load` rejects when there is some. */
export function forgetfulDetectionStore(): DetectionStore {
  let version = 0;
  let lastCommitId: string | null = null;
  return {
    load: async () => {
      // An empty state would have everything detected and told again.
      if (version > 0) throw invalid("This stream keeps nothing, so it cannot be loaded again. Use a store that does.");
      return { version, alertCount: 0, pieces: new Map(), seen: new Map() };
    },
    commit: async (commit) => {
      requireValidDetectionCommit(commit);
      if (commit.commitId === lastCommitId) return "duplicate";
      if (commit.expectedVersion !== version) return "conflict";
      version += 1;
      lastCommitId = commit.commitId;
      return "applied";
    },
    alerts: async () => [],
    auditEvents: async () => [],
    getCheckpoint: async () => null,
    setCheckpoint: async (_of, time) => time,
    groupCheckpoint: async () => null,
    lastRunAtMs: async () => null,
    checkResults: async () => [],
    close: async () => {},
    [Symbol.asyncDispose]: async () => {},
  };
}
