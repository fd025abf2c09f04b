/** What a simulation in memory leaves out: nobody may notice that it does. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compose, driveVirtual } from "../../src/compose.ts";
import { type Assumed, simulatedEffects } from "../../src/effects/simulated-effects.ts";
import { policySetFrom } from "../../src/formats/policy-file.ts";
import { CONVERGENCE_FUNCTIONS } from "../../src/model/convergence-rule.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import type { Receipt } from "../../src/model/receipt.ts";
import type { PolicySet } from "../../src/policy/policy.ts";
import { ClosedInstances } from "../../src/simulate/closed-instances.ts";
import { type InstanceLine, reportFile } from "../../src/simulate/instance-rows.ts";
import { rowsInMemory } from "../../src/simulate/row-store.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import { mixedStream, randomFrom } from "../support/receipt-streams.ts";

const policy = fc.record(
  {
    converge: fc.option(
      fc.record({
        function: fc.constantFrom(...CONVERGENCE_FUNCTIONS),
        by: fc.constantFrom(["cluster"], ["cluster", "host"], []),
        count: fc.integer({ min: 1, max: 3 }),
        window: fc.constantFrom("1m", "10m"),
      }),
      { nil: undefined, freq: 6 },
    ),
    retry: fc.constantFrom({ limit: 0 }, { limit: 1, delay: "40s" }),
    approval: fc.constant({ timeout: "20m" }),
    verify: fc.constantFrom({ resolved_within: "3m" }, { resolved_within: "20m" }),
    again: fc.constant({ after: "11m", limit: 2 }),
    on_resolved: fc.constantFrom("skip", "keep"),
    after_silence: fc.constantFrom("decide", "skip"),
  },
  { requiredKeys: ["converge"] },
);

const policies: fc.Arbitrary<PolicySet> = fc
  .record({ first: policy, second: policy, isSilenced: fc.boolean(), isBraked: fc.boolean() })
  .map(({ first, second, isSilenced, isBraked }) => {
    const [fromMs, toMs] = [1_763_000_300_000, 1_763_001_500_000].map((ms) => new Date(ms).toISOString());
    const silences = isSilenced
      ? [{ match: ['host="host-1"'], from: fromMs, to: toMs, author: "ops", comment: "rack move" }]
      : [];
    const named = [
      { name: "one", match: [], action: { log: {} }, ...defined(first) },
      { name: "two", match: ['cluster="core"'], action: { log: {} }, ...defined(second) },
    ];
    const limits = isBraked ? { limits: { actions: 6, per: "5m" } } : {};
    return policySetFrom({ policies: named, silences, ...limits } as never);
  });

function defined(fields: object): object {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}

type Line = { readonly atMs: number; readonly receipts: readonly Receipt[] };

/** Six alerts of two senders each, gathered into requests of half a minute: the same alert may come twice in one. */
function linesOf(seed: number): Line[] {
  const random = randomFrom(seed);
  const receipts = Array.from({ length: 6 }, (_, index) => {
    const labels = { alertname: "Down", cluster: index % 3 === 0 ? "edge" : "core", host: `host-${index}` };
    const alert = { labels, annotations: {}, generatorURL: null, fingerprint: fingerprintOf(labels) };
    return mixedStream(random).map(({ receivedAtMs, ...times }) => ({
      atMs: receivedAtMs,
      receipt: { ...alert, ...times },
    }));
  }).flat();
  const requests = new Map<number, Receipt[]>();
  for (const { atMs, receipt } of receipts.toSorted((a, b) => a.atMs - b.atMs)) {
    const sentAtMs = Math.ceil(atMs / 30_000) * 30_000;
    requests.set(sentAtMs, [...(requests.get(sentAtMs) ?? []), receipt]);
  }
  return [...requests].map(([atMs, all]) => ({ atMs, receipts: all }));
}

const patterns = fc.array(fc.constantFrom<Assumed>("ok", "failed"), { minLength: 1, maxLength: 3 });

type Case = { readonly set: PolicySet; readonly lines: readonly Line[]; readonly assumed: readonly Assumed[] };

/** `atOnce` null: the slow way, which reads and keeps everything. */
async function outcomeOf({ set, lines: requests, assumed }: Case, atOnce: number | null) {
  const store = memoryStore({ now: () => 0 });
  const closed = new ClosedInstances(rowsInMemory(), { atOnce: atOnce ?? Number.POSITIVE_INFINITY });
  const runtime = await compose({ store, mode: "simulated", policies: set });
  const { driver, instances } = driveVirtual(runtime, {
    effects: simulatedEffects(new Map([["*", assumed]])),
    concurrency: 16,
    onCommit: [(decision) => closed.committed(decision)],
    isInMemory: atOnce !== null,
  });
  const ids = new Set<string>();
  const counts = { alerts: 0, unmatched: 0, rejected: 0, resolved: 0, late: 0, truncated: 0 };
  for (const { atMs, receipts } of requests) {
    const outcome = await driver.line(receipts, atMs);
    for (const id of outcome.ids) ids.add(id);
    counts.late += outcome.late;
    counts.alerts += outcome.created * 1_000 + outcome.duplicates;
    await closed.drop(instances);
  }
  await driver.finish();
  const rows: InstanceLine[] = [];
  const summary = await reportFile(
    instances,
    { ids, ...counts },
    {
      dropped: closed,
      onLine: async (row) => void rows.push(row),
      onQuarantined: (error) => {
        throw error;
      },
    },
  );
  const { instances: kept } = await store.list({ limit: 1_000_000 });
  return { rows, summary, kept: kept.length };
}

test("a run in memory that drops what is over and passes over what is repeated comes to the same rows and sums as one that does not", async () => {
  const dropped = { cases: 0, instances: 0 };
  await fc.assert(
    fc.asyncProperty(policies, fc.nat(), patterns, async (set, seed, assumed) => {
      const one = { set, lines: linesOf(seed), assumed };
      const [slow, quick] = [await outcomeOf(one, null), await outcomeOf(one, 1)];
      expect(quick.rows).toEqual(slow.rows);
      expect(quick.summary).toEqual(slow.summary);
      dropped.cases += 1;
      dropped.instances += slow.kept - quick.kept;
    }),
    { numRuns: 60 },
  );
  expect(dropped.instances / dropped.cases).toBeGreaterThan(5);
});
