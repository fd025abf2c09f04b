import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Group } from "../../src/convergence/group.ts";
import { decodeGroup, encodeGroup } from "../../src/convergence/group-codec.ts";
import { policySetFrom } from "../../src/formats/policy-file.ts";
import type { Instance } from "../../src/instance/checkpoint.ts";
import { type Command, type DecideInput, type Decision, decide } from "../../src/instance/decide.ts";
import { plainOutcomes } from "../../src/instance/outcome.ts";
import { rememberedOutcomes } from "../../src/instance/outcome-memo.ts";
import { initialSnapshot } from "../../src/instance/step.ts";
import type { Alert } from "../../src/model/alert.ts";
import { CONVERGENCE_FUNCTIONS, type ConvergenceFunction } from "../../src/model/convergence-rule.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import { instanceIdOf } from "../../src/model/ids.ts";
import { type CompiledPolicy, compilePolicy, policyKey } from "../../src/policy/policy-versions.ts";

/**
 * Identical decisions are computed once (instance/outcome-memo.ts). Whatever the batches of a group hold, the plain way and this one must give
 * the same decision: the same checkpoints, history lines, effects and numbers, byte for byte.
 */

const GROUP_ID = "act:!sha1#0000000000000000000000000000000000000000";
const START_MS = Date.parse("2026-11-23T06:00:00Z");
const SILENCE = { author: "ops", comment: "rack move", toMs: START_MS + 3_600_000 };

/** `laterMs`: most items of a batch have one time, as alerts of one request do; some come later, or after the group has closed. */
type Item = { readonly laterMs: number } & ItemBody;

type ItemBody =
  | {
      readonly kind: "alert";
      readonly name: number;
      readonly version: number;
      readonly silenced: boolean;
      readonly parked: boolean;
    }
  | { readonly kind: "result"; readonly target: number; readonly succeeded: boolean };

type Batch = { readonly afterMs: number; readonly items: readonly Item[] };

type Setting = { readonly fn: ConvergenceFunction; readonly count: number; readonly batches: readonly Batch[] };

const laterMs = fc.constantFrom(0, 0, 0, 0, 0, 1, 400_000);
const alertItem: fc.Arbitrary<Item> = fc.record({
  kind: fc.constant("alert"),
  laterMs,
  name: fc.nat(40),
  version: fc.constantFrom(0, 0, 0, 0, 1),
  silenced: fc.constantFrom(false, false, false, true),
  parked: fc.constantFrom(false, false, false, false, true),
});
const resultItem: fc.Arbitrary<Item> = fc.record({
  kind: fc.constant("result"),
  laterMs,
  target: fc.nat(20),
  succeeded: fc.boolean(),
});
const settings: fc.Arbitrary<Setting> = fc.record({
  fn: fc.constantFrom(...CONVERGENCE_FUNCTIONS),
  count: fc.integer({ min: 1, max: 4 }),
  batches: fc.array(
    fc.record({
      afterMs: fc.constantFrom(0, 1, 60_000, 400_000),
      items: fc.array(fc.oneof({ weight: 6, arbitrary: alertItem }, { weight: 1, arbitrary: resultItem }), {
        minLength: 1,
        maxLength: 15,
      }),
    }),
    { minLength: 1, maxLength: 6 },
  ),
});

/** Two versions of one policy: they share the rule, and differ in what an instance keeps of them. */
function versionsOf(fn: ConvergenceFunction, count: number): readonly CompiledPolicy[] {
  return [1, 2].map((limit) => {
    const converge = { function: fn, by: ["host"], count, window: "5m" };
    const given = { name: "act", match: [], action: { log: {} }, retry: { limit, delay: "10s" }, converge };
    return compilePolicy(policySetFrom([given]).policies[0] as CompiledPolicy["policy"]);
  });
}

function alertOf(name: number): Alert {
  const labels = { alertname: "DiskFull", host: "db-1", name: String(name) };
  const fingerprint = fingerprintOf(labels);
  return {
    labels,
    annotations: {},
    startsAtMs: START_MS,
    endsAtMs: null,
    status: "firing",
    generatorURL: null,
    fingerprint,
  };
}

/** What is stored of the one group, after each batch. */
type World = { instances: Map<string, Instance>; group: Group | null; readonly policies: readonly CompiledPolicy[] };

function commandOf(world: World, item: Item, atMs: number): Command[] {
  if (item.kind === "result") {
    const running = [...world.instances.values()].filter(({ snapshot }) => snapshot.state === "Processing.running");
    const target = running[item.target % Math.max(running.length, 1)];
    if (target === undefined) return [];
    const { attempt } = target.snapshot.context;
    const event = item.succeeded
      ? ({ type: "effect.done", atMs, attempt } as const)
      : ({ type: "effect.failed", atMs, attempt, error: "exit 1" } as const);
    return [{ type: "event", id: target.id, event }];
  }
  const alert = alertOf(item.name);
  const id = instanceIdOf({ policy: "act", fingerprint: alert.fingerprint, startMs: alert.startsAtMs }, 0);
  const policy = world.policies[item.version] as CompiledPolicy;
  const lock = item.parked ? { lockBusyUntilMs: atMs + 3_000 } : {};
  return [{ type: "create", id, atMs, alert, policy, silence: item.silenced ? SILENCE : null, ...lock }];
}

function keep(world: World, decision: Decision): void {
  for (const { instance } of decision.instances) world.instances.set(instance.id, instance);
  world.group = decision.group === null ? null : decodeGroup(GROUP_ID, encodeGroup(decision.group));
  // What was committed may be used as if it had been read again (runtime/commit/speculative-groups.ts).
  expect(world.group).toEqual(decision.group);
}

function inputOf(world: World, commands: readonly Command[]): DecideInput {
  const waiters = [...world.instances.values()].filter(({ snapshot }) => snapshot.state === "Proceeding");
  return {
    partition: 0,
    groupId: GROUP_ID,
    group: world.group,
    instances: new Map(world.instances),
    waiters: waiters.map(({ id }) => id),
    hasMoreWaiters: false,
    policies: new Map(world.policies.map((compiled) => [policyKey(compiled.policy), compiled])),
    commands,
    isVirtual: false,
    turn: 0,
  };
}

/** A group as it is stored, the time of its last step aside. */
function timeless(group: Group | null): string | null {
  return group === null ? null : encodeGroup({ ...group, lastAtMs: 0 });
}

describe("decisions that are computed once", () => {
  test("are the decisions of the plain way, byte for byte, and tell when they leave the group as it was", () => {
    fc.assert(
      fc.property(settings, ({ fn, count, batches }) => {
        const world: World = { instances: new Map(), group: null, policies: versionsOf(fn, count) };
        let atMs = START_MS;
        for (const batch of batches) {
          atMs += batch.afterMs;
          const commands = batch.items.flatMap((item) => {
            atMs += item.laterMs;
            return commandOf(world, item, atMs);
          });
          if (commands.length === 0) continue;
          const input = inputOf(world, commands);
          const decision = decide(input);
          expect(decision).toEqual(decide(input, plainOutcomes));
          expect(decision.isGroupChanged).toBe(timeless(input.group) !== timeless(decision.group));
          keep(world, decision);
        }
      }),
      { numRuns: 150 },
    );
  });

  test("are those of the second and later alerts that meet the same view of the group", () => {
    const [policy] = versionsOf("skip_when_exceed", 1) as [CompiledPolicy];
    const peers = {
      isNew: false,
      executed: 1,
      succeeded: 0,
      failed: 0,
      inProgress: 1,
      settledWithoutFailure: 0,
      parentOpen: false,
    };
    const group = { observation: peers, count: 1, peers: [] };
    const instance = (id: string): Instance => ({
      id,
      kind: "action",
      policy: "act",
      policyVersion: policy.policy.version,
      groupId: GROUP_ID,
      epoch: null,
      isOpener: false,
      createdAtMs: START_MS,
      decidedAtMs: null,
      atMs: START_MS,
      version: 0,
      snapshot: initialSnapshot(policy.governed),
      verdict: null,
      reason: null,
      parked: null,
      succeededAtMs: null,
      isObserved: false,
      head: id,
    });
    const event = { type: "start", atMs: START_MS, silence: null, group } as const;
    const at = { epoch: 1, version: 1 };
    const [memo, plain] = [rememberedOutcomes(), plainOutcomes];
    expect(memo(instance("b"), event, at)).not.toBe(plain(instance("b"), event, at));
    expect(memo(instance("a"), event, at)).toBe(memo(instance("b"), event, at));
    expect(plain(instance("a"), event, at)).not.toBe(plain(instance("b"), event, at));
    expect(memo(instance("c"), { ...event, group: { ...group } }, at)).not.toBe(memo(instance("a"), event, at));
  });
});
