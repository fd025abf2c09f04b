import { beforeEach, describe, expect, test } from "vitest";
import type { DetectionCommit, DetectionStore } from "../../src/detection/detection-store.ts";
import { forgetfulDetectionStore } from "../../src/stores/memory/forgetful-detection-store.ts";

const COMMIT: DetectionCommit = {
  commitId: "commit-1",
  expectedVersion: 0,
  atMs: 1_000,
  piecesPut: [["head g1", "{}"]],
  piecesRemoved: [],
  alerts: ["an alert"],
  auditEvents: ["an event"],
  groups: [],
  checkpoints: [],
  checkResults: [],
};
const INVALID = { code: "BECALM_ARGUMENT_INVALID" };

describe("a detection store that keeps nothing", () => {
  let store: DetectionStore;
  beforeEach(() => {
    store = forgetfulDetectionStore();
  });

  test("takes a commit on the version that the last one left, and knows the last one again", async () => {
    expect((await store.load([])).version).toBe(0);
    expect(await store.commit(COMMIT)).toBe("applied");
    expect(await store.commit(COMMIT)).toBe("duplicate");
    expect(await store.commit({ ...COMMIT, commitId: "commit-2" })).toBe("conflict");
    expect(await store.commit({ ...COMMIT, commitId: "commit-2", expectedVersion: 1 })).toBe("applied");
  });

  test("refuses a commit that breaks a rule as other stores do", async () => {
    const twice = { ...COMMIT, piecesRemoved: ["head g1"] };
    await expect(store.commit(twice)).rejects.toMatchObject(INVALID);
    expect(await store.commit(COMMIT)).toBe("applied");
  });

  test("gives nothing back, and refuses to be gone on with as if it were new", async () => {
    await store.commit(COMMIT);
    expect(await store.alerts({ fromSeq: 1, limit: 10 })).toEqual([]);
    expect(await store.auditEvents({ fromSeq: 1, limit: 10 })).toEqual([]);
    await expect(store.load([])).rejects.toMatchObject(INVALID);
  });
});
