import pico from "picocolors";
import { describe, expect, test } from "vitest";
import { explainText } from "../../src/cli/explain-text.ts";
import { type Counterfactual, evaluateConvergence } from "../../src/convergence/convergence.ts";
import type { AuditEntry, Birth, History, StoredEvent } from "../../src/instance/audit-types.ts";
import { CONVERGENCE_FUNCTIONS, type Observation } from "../../src/model/convergence-rule.ts";
import { REASONS, type ReasonCode } from "../../src/model/reasons.ts";
import { counterfactualText } from "../../src/present/counterfactual-text.ts";
import { ENGLISH_UTC } from "../../src/present/reader.ts";
import { observationText, sentenceOf } from "../../src/present/sentences.ts";

const AT_MS = Date.UTC(2026, 10, 23, 7);

const NO_PEERS: Observation = {
  isNew: false,
  executed: 0,
  succeeded: 0,
  failed: 0,
  inProgress: 0,
  settledWithoutFailure: 0,
  parentOpen: false,
};

const BIRTH = {
  kind: "action",
  policy: "clean",
  policyVersion: "1",
  group: null,
  createdAtMs: AT_MS,
  alert: null,
  notice: null,
} satisfies Birth;
const HISTORY = { instance: "03-aa", birth: BIRTH } as unknown as History;

function entry(event: Record<string, unknown>, changes: Partial<AuditEntry> = {}): AuditEntry {
  return {
    version: 1,
    atMs: AT_MS,
    event: { atMs: AT_MS, ...event } as StoredEvent,
    path: ["Idle", "Skipped"],
    verdict: null,
    reason: "closed",
    epoch: null,
    checkpoint: "",
    instance: "03-aa",
    policy: "clean",
    observation: null,
    count: null,
    peers: [],
    ruleVersion: "1",
    counterfactual: null,
    actor: "becalm",
    previousHash: "",
    hash: "",
    ...changes,
  };
}

function start(changes: Partial<AuditEntry>, event: Record<string, unknown> = {}): AuditEntry {
  return entry({ type: "start", group: null, silence: null, ...event }, changes);
}

describe("the sentence of a silenced instance", () => {
  const silence = { author: "ops", comment: "rack move", toMs: AT_MS };
  const sentence = sentenceOf(start({ verdict: "skip", reason: "silenced" }, { silence }), HISTORY);

  test("is the promised Chinese one, with the action's name and the reason", () => {
    expect(sentence.zh).toMatch(/^套餐处理【clean】已屏蔽， 屏蔽原因：ops .*rack move/);
  });

  test("names the author, the comment, the end, and how to run it by hand", () => {
    expect(sentence.en).toBe(
      'Action "clean" is silenced: ops silenced it until 2026-11-23T07:00:00.000Z (rack move). To run it anyway: becalm send 03-aa start --by WHO --why TEXT',
    );
    expect(sentence.zh).toContain("becalm send 03-aa start");
  });

  test("gives a command that works as printed where the store was named by options", () => {
    const named = start({ verdict: "skip", reason: "silenced" }, { silence });
    const text = explainText(null, { ...HISTORY, policy: { converge: null }, entries: [named] } as unknown as History, {
      colors: pico.createColors(false),
      reader: ENGLISH_UTC,
      where: "--store lmdb:st --namespace edge",
    });
    expect(text.map((line) => line.trim()).join(" ")).toContain(
      "becalm send 03-aa start --store lmdb:st --namespace edge --by WHO --why TEXT",
    );
  });
});

describe("the sentence of a converged instance", () => {
  const observation = { ...NO_PEERS, executed: 3, inProgress: 2 };
  const sentence = sentenceOf(start({ verdict: "skip", reason: "limit_reached", observation }), HISTORY);

  test("is the promised Chinese one, with the action's name and the reason", () => {
    expect(sentence.zh).toBe("套餐【clean】已收敛， 收敛原因：同组执行数已达到上限（同组：已执行 3，进行中 2）");
  });

  test("tells in English why, and the numbers of peers that it saw", () => {
    expect(sentence.en).toBe(
      'Action "clean" was converged: as many peers as allowed have executed (peers: 3 executed, 2 in progress).',
    );
  });

  test("is the same kind of sentence when a denial skipped those that waited", () => {
    const denied = entry({ type: "cancel", by: "ann", why: "no", reason: "peer_denied" }, { reason: "peer_denied" });
    expect(sentenceOf(denied, HISTORY).zh).toMatch(/^套餐【clean】已收敛， 收敛原因：/);
  });
});

describe("what people did", () => {
  const who = { by: "ann", why: "looked at it" };

  test.each([
    ["approval.granted", { silence: null, group: null }],
    ["approval.denied", {}],
    ["cancel", {}],
    ["end", {}],
  ])("by %s is reported with their name and their reason", (type, more) => {
    const sentence = sentenceOf(entry({ type, ...who, ...more }), HISTORY);
    for (const text of [sentence.en, sentence.zh]) {
      expect(text).toContain("ann");
      expect(text).toContain("looked at it");
    }
  });

  test("past a silence names the silence too", () => {
    const silence = { author: "ops", comment: "rack move", toMs: AT_MS };
    const sentence = sentenceOf(
      start({ verdict: "run", reason: "run_anyway" }, { approved: true, silence, ...who }),
      HISTORY,
    );
    expect(sentence.en).toBe("ann said to run it anyway: looked at it (past the silence of ops: rack move)");
  });
});

describe("an end of the alert", () => {
  const sentenceAfter = (lateMs: number) =>
    sentenceOf(
      entry({ type: "alert.resolved", atMs: AT_MS, endedAtMs: AT_MS - lateMs }, { reason: "alert_resolved" }),
      HISTORY,
    );

  test("says when it was, if it was heard of later", () => {
    const endedAt = new Date(AT_MS - 180_000).toISOString();
    const { en, zh } = sentenceAfter(180_000);
    expect(en).toMatch(new RegExp(`before anything ran, so .* is skipped\\. The alert had ended at ${endedAt}\\.$`));
    expect(zh).toMatch(new RegExp(`告警已恢复。告警实际结束于 ${endedAt}。$`));
    expect(sentenceAfter(999).en).toMatch(/ is skipped\.$/);
    expect(sentenceAfter(999).zh).toMatch(/告警已恢复。$/);
  });
});

describe("an entry of any event", () => {
  const events: Record<string, unknown>[] = [
    { type: "start", group: null, silence: null },
    { type: "peers.settled", group: { observation: NO_PEERS, count: 1, peers: [] } },
    { type: "effect.done", attempt: 1 },
    { type: "effect.failed", attempt: 1, error: "503" },
    ...["retry", "wait", "approval"].map((timer) => ({ type: "timer.elapsed", timer, arm: 1 })),
    { type: "approval.requested" },
    { type: "alert.resolved" },
    { type: "cancel", by: "ann", why: "no" },
    { type: "lock.busy", dueAtMs: AT_MS, arm: 1 },
    { type: "effect.interrupted", attempt: 1, process: "web-1:7:0a1b2c3d" },
    { type: "effect.begun_again", attempt: 1, process: "web-2:7:1b2c3d4e" },
    { type: "effect.begun_again", attempt: 1, process: "web-2:7:1b2c3d4e", heldBy: "web-1:7:0a1b2c3d" },
  ];

  test("has a sentence in both languages, for every verdict and every reason", () => {
    for (const event of events) {
      for (const verdict of ["run", "skip", "wait", "approve", null] as const) {
        for (const reason of Object.keys(REASONS) as ReasonCode[]) {
          const sentence = sentenceOf(entry(event, { verdict, reason }), HISTORY);
          expect(sentence.en).not.toMatch(/^$|undefined/);
          expect(sentence.zh).not.toMatch(/^$|undefined/);
        }
      }
    }
  });
});

describe("the counterfactual", () => {
  function text(
    counterfactual: Counterfactual,
    event: Record<string, unknown> = { type: "start", group: null, silence: null },
  ) {
    return counterfactualText(entry(event, { counterfactual }))?.en;
  }

  test("names the count that would have decided otherwise, and from which side", () => {
    expect(text({ parameter: "count", from: 3, to: 4, verdict: "run" })).toBe("would have run with count >= 4");
    expect(text({ parameter: "count", from: 3, to: 2, verdict: "skip" })).toBe(
      "would have been skipped with count <= 2",
    );
  });

  test("names the peers whose absence or presence would have", () => {
    expect(text({ parameter: "inProgress", from: 2, to: 0, verdict: "run" })).toBe(
      "would have run with no peer in progress",
    );
    expect(text({ parameter: "succeeded", from: 0, to: 1, verdict: "skip" })).toBe(
      "would have been skipped with at least 1 peer succeeded",
    );
    expect(text({ parameter: "isNew", from: false, to: true, verdict: "run" })).toBe(
      "would have run as the one that opens the group",
    );
  });

  test("is silent about what a person decided", () => {
    const counterfactual: Counterfactual = { parameter: "count", from: 1, to: 2, verdict: "run" };
    expect(
      text(counterfactual, { type: "approval.granted", by: "ann", why: "ok", silence: null, group: null }),
    ).toBeUndefined();
    expect(
      text(counterfactual, { type: "start", approved: true, by: "ann", why: "ok", silence: null, group: null }),
    ).toBeUndefined();
  });

  test("is true: with the change that it names, the rule answers what it says", () => {
    for (const fn of CONVERGENCE_FUNCTIONS) {
      for (const observation of [
        NO_PEERS,
        { ...NO_PEERS, executed: 3, succeeded: 1, inProgress: 1 },
        { ...NO_PEERS, failed: 1, executed: 1 },
      ]) {
        const { counterfactual } = evaluateConvergence({ function: fn, count: 2 }, observation);
        if (counterfactual === null) continue;
        const { parameter, to, verdict } = counterfactual;
        const count = parameter === "count" ? Number(to) : 2;
        const changed = parameter === "count" ? observation : { ...observation, [parameter]: to };
        expect(evaluateConvergence({ function: fn, count }, changed).verdict).toBe(verdict);
      }
    }
  });
});

describe("the numbers of peers", () => {
  test("leave out what is zero", () => {
    expect(observationText({ ...NO_PEERS, executed: 2, failed: 1 }).en).toBe("peers: 2 executed, 1 failed");
    expect(observationText(NO_PEERS)).toEqual({ en: "no peers", zh: "无同组实例" });
  });
});
