/**
 * Mistakes that somebody could make in the product, each one small. They are put into a bundle that only tests make
 * (test/simulation/simulation-build.ts); nothing of them is in `src`, and no switch of the product reaches them.
 *
 * `scenario`: where the simulation finds it soonest; null: no schedule can show it, `foundBy` says who does.
 */
import type { SeededFault } from "../simulation/simulation-build.ts";

export type CatchableFault = SeededFault & {
  readonly scenario: string;
  /** The checkers of which one at least must speak. */
  readonly foundBy: readonly string[];
};

/** In Redis's own scripts: real processes show them (test/chaos). */
export const SCRIPT_FAULTS: readonly CatchableFault[] = [
  {
    name: "a script does not compare the version of a group",
    find: "if group_key and expected_version ~= '0' then",
    replace: "if group_key and expected_version == 'never' then",
    scenario: "quiet",
    foundBy: ["limits kept", "waiters released", "nothing stuck"],
  },
];

export const SEEDED_FAULTS: readonly CatchableFault[] = [
  {
    name: "an owner answers what it has not decided",
    find: "return writtenAnswer(await this.#options.decide(envelopes, sum(envelopes.map(sizeOf))));",
    replace: 'return envelopes.map(() => ["duplicate", null, null] as const);',
    scenario: "wrong owners",
    foundBy: ["acknowledged"],
  },
  {
    name: "the group's version is not compared",
    find: `if ((this.#groups.get(partition, group.id, nowMs)?.version ?? 0) !== group.expectedVersion) return "conflict";`,
    replace: "",
    scenario: "racing",
    foundBy: ["limits kept"],
  },
  {
    name: "the instance's version is not compared",
    find: `return commit.instances.every((write) => this.#isExpected(write)) ? null : "conflict";`,
    replace: "return null;",
    scenario: "racing",
    foundBy: ["whole chain", "replayed"],
  },
  {
    name: "the record of an episode is not compared",
    find: `if (!this.#episodes.areExpected(partition, commit.episodes)) return "conflict";`,
    replace: "",
    scenario: "racing",
    foundBy: ["acknowledged"],
  },
  {
    name: "a commit that is sent again is no duplicate",
    find: `if (this.#commitIds.has(nameIn(commit.partition, commit.commitId))) return "duplicate";`,
    replace: "",
    scenario: "lossy",
    foundBy: ["acknowledged"],
  },
  {
    name: "new instances are written before the commit is checked",
    file: "memory-store.ts",
    find: "if (refusal !== null) return refusal;",
    replace:
      "if (refusal !== null) {\n" +
      "      for (const write of commit.instances) if (!this.#instances.has(write.id)) this.#write(write, commit.partition);\n" +
      "      return refusal;\n    }",
    scenario: "racing",
    foundBy: ["acknowledged", "nothing stuck", "limits kept"],
  },
  {
    name: "a commit that was refused is acknowledged",
    find: `return outcome === "applied" || outcome === "duplicate";`,
    replace: `return outcome !== "stale";`,
    scenario: "racing",
    foundBy: ["acknowledged"],
  },
  {
    name: "alerts are acknowledged before their commit",
    find: "isCounted ? await committed(runtime, read, commit)",
    replace: 'isCounted ? (void committed(runtime, read, commit).catch(() => {}), "applied" as const)',
    scenario: "racing",
    foundBy: ["acknowledged"],
  },
  {
    name: "effects begin before the commit",
    find: "onDecided?.();",
    replace: "onDecided?.();\n    publish(runtime, decision, commit);",
    scenario: "racing",
    foundBy: ["accepted once"],
  },
  {
    name: "the result of an older attempt is accepted",
    find: `(event.type === "effect.done" || event.type === "effect.failed") && event.attempt === context.attempt;`,
    replace: `(event.type === "effect.done" || event.type === "effect.failed") && context.attempt > 0;`,
    scenario: "returning",
    foundBy: ["accepted once"],
  },
  {
    name: "a retry's timer is not armed",
    find: "for (const [name, timer] of changes.armed)",
    replace: `for (const [name, timer] of changes.armed.filter(([name]) => name !== "retry"))`,
    scenario: "calm",
    foundBy: ["nothing stuck"],
  },
  {
    name: "a timer that is over stays armed",
    find: "for (const [name, timer] of changes.cancelled) cancelled.push(key(changed.instance.id, name, timer.arm));",
    replace: "",
    scenario: "calm",
    foundBy: ["nothing outlives"],
  },
  {
    name: "an effect whose result is committed stays in the outbox",
    find: 'if (one.kind === "effect" && emitted?.has(one.id) !== true) ids.push(one.id);',
    replace: "void emitted;",
    scenario: "calm",
    foundBy: ["nothing outlives", "accepted once"],
  },
  {
    name: "waiters are not woken",
    find: `(result.outcome === "applied" || command.type === "wake")`,
    replace: `command.type === "wake"`,
    scenario: "calm",
    foundBy: ["waiters released", "nothing stuck"],
  },
  {
    name: "nobody waits for a peer",
    find: `peer_proceeds: (args) => verdictOf(args)?.verdict === "wait" || skips(args, "skip_when_proceed"),`,
    replace: `peer_proceeds: (args) => skips(args, "skip_when_proceed"),`,
    scenario: "racing",
    foundBy: ["limits kept"],
  },
  {
    name: "a member exactly a window old has left the window",
    find: "group.forming.filter((member) => member.createdAtMs >= since);",
    replace: "group.forming.filter((member) => member.createdAtMs > since);",
    scenario: "edges",
    foundBy: ["limits kept"],
  },
  {
    name: "a nearer timer does not bring the poll forward",
    find: "if (dueAtMs >= this.#timersDueAtMs) return;",
    replace: "if (dueAtMs >= this.#timersDueAtMs - 1_000) return;",
    scenario: "prompt",
    foundBy: ["timers in time"],
  },
  {
    name: "a timer that is armed during a poll does not bring the next one forward",
    find: "const delayMs = isMore ? 0 : Math.min(expectedMs, TIMERS_POLLED_EVERY_MS);",
    replace: "const delayMs = isMore ? 0 : TIMERS_POLLED_EVERY_MS;\n    void expectedMs;",
    scenario: "prompt",
    foundBy: ["timers in time"],
  },
  {
    name: "the hash that a bound line begins with is not compared",
    find: "if (isBound && previous !== hash)",
    replace: "if (isBound && previous === null)",
    scenario: "calm",
    foundBy: ["auditor"],
  },
  {
    name: "a line is bound to the wrong one",
    find: "stepLine(outcome.json, { previous: head, isFirst })",
    replace: 'stepLine(outcome.json, { previous: chainHash(head, ""), isFirst })',
    scenario: "calm",
    foundBy: ["whole chain"],
  },
  {
    name: "claims are not prolonged",
    find: "if (effectIds.length > 0) await store.extendClaims(",
    replace: "if (effectIds.length > 1_000) await store.extendClaims(",
    scenario: "slow attempts",
    foundBy: ["accepted once"],
  },
  {
    name: "claimed effects are given out",
    find: "this.#first({ limit, partition }, (claim) => claim.claimedUntilMs <= nowMs)",
    replace: "this.#first({ limit, partition }, (claim) => claim.claimedUntilMs <= nowMs + 9_000)",
    scenario: "racing",
    foundBy: ["accepted once"],
  },
  {
    name: "a result that could not be written is dropped",
    find: "for (let failures = 0; this.#options.isRunning(); failures += 1) {",
    replace: "for (let failures = 0; failures < 0; failures += 1) {",
    scenario: "store away",
    foundBy: ["accepted once"],
  },
  {
    name: "attempts that were begun elsewhere are never taken over",
    find: "for (const effect of effects) this.#beginDelivered(effect);",
    replace: "void effects;",
    scenario: "crashing",
    foundBy: ["nothing stuck"],
  },
  {
    name: "retention removes who is not at rest",
    find: "if (instance instanceof BecalmError || !isAtRest(instance)) continue;",
    replace: "if (instance instanceof BecalmError) continue;\n    void isAtRest;",
    scenario: "kept for a person",
    foundBy: ["nothing outlives"],
  },
  {
    name: "the record of an episode outlives its instance",
    find: "await runtime.store.remove(instance.id, stored.version, { episode, condition })",
    replace: "void episode === undefined && (await runtime.store.remove(instance.id, stored.version, { condition }))",
    scenario: "forgotten",
    foundBy: ["nothing outlives"],
  },
  {
    name: "the opener forgets its summary",
    find: "scheduleSummary(group, open, opener);",
    replace: "void [scheduleSummary, opener];",
    scenario: "calm",
    foundBy: ["summaries sent"],
  },
  {
    name: "whoever joins a group with a full count runs too",
    find: "peers.isNew ? RUN_OPENED : peers.executed >= count ? SKIP_LIMIT : RUN_BELOW_LIMIT,",
    replace: "peers.isNew ? RUN_OPENED : peers.executed > count ? SKIP_LIMIT : RUN_BELOW_LIMIT,",
    scenario: "racing",
    foundBy: ["limits kept"],
  },
  {
    name: "a commit does not look at the emergency stop",
    find: "return effects.length > 0 || entries.some(",
    replace: "return effects.length > 1_000 && entries.some(",
    scenario: "paused",
    foundBy: ["pauses hold"],
  },
];
