/** Many histories are replayed in a quicker way: it must find what the plain way finds. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { compose, driveVirtual } from "../../src/compose.ts";
import { simulatedEffects } from "../../src/effects/simulated-effects.ts";
import { policySetFrom } from "../../src/formats/policy-file.ts";
import type { AuditEntry, History } from "../../src/instance/audit-types.ts";
import { CONVERGENCE_FUNCTIONS } from "../../src/model/convergence-rule.ts";
import { errorCode } from "../../src/model/errors.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import { Replayer, replay } from "../../src/simulate/replay.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";

const BEGIN_MS = 1_763_000_000_000;

async function histories(fn: (typeof CONVERGENCE_FUNCTIONS)[number], assumed: readonly ("ok" | "failed")[]) {
  const converge = { function: fn, by: ["cluster"], count: 2, window: "5m" };
  const more = {
    retry: { limit: 1, delay: "30s" },
    verify: { resolved_within: "3m" },
    again: { after: "6m", limit: 1 },
  };
  const policy = { name: "one", match: [], action: { log: {} }, converge, ...more };
  const store = memoryStore();
  const runtime = await compose({ store, mode: "simulated", policies: policySetFrom({ policies: [policy] } as never) });
  const options = { effects: simulatedEffects(new Map([["*", assumed]])), concurrency: 4, onCommit: [] };
  const { driver, instances } = driveVirtual(runtime, options);
  for (let at = 0; at < 12; at += 1) {
    const labels = { alertname: "Down", cluster: "core", host: `host-${at % 8}` };
    const status = at < 8 ? ("firing" as const) : ("resolved" as const);
    const times = { startsAtMs: BEGIN_MS, endsAtMs: null, status, form: "v4" as const };
    const receipt = { labels, annotations: {}, generatorURL: null, fingerprint: fingerprintOf(labels), ...times };
    await driver.line([receipt], BEGIN_MS + at * 40_000);
  }
  await driver.finish();
  const { instances: stored } = await store.list({ limit: 1_000 });
  return Promise.all(stored.map(({ id }) => instances.history(id)));
}

/** What a replay says of a history: the version that differs, the code of an error, or null. */
function said(how: () => { readonly version: number } | null): number | string | null {
  try {
    return how()?.version ?? null;
  } catch (error) {
    return errorCode(error) ?? "UNEXPECTED";
  }
}

const plain = (history: History) => said(() => replay(history).divergence?.entry ?? null);

type Change = { readonly which: number; readonly how: "checkpoint" | "attempt" | "time" | "type" | "view" };

/** One entry says something else than what happened. */
function changed(history: History, { which, how }: Change): History {
  const at = which % history.entries.length;
  const entries = history.entries.map((entry, index) => (index === at ? altered(entry, how) : entry));
  return { ...history, entries };
}

function altered(entry: AuditEntry, how: Change["how"]): AuditEntry {
  const { event } = entry;
  const with_ = (more: object) => ({ ...entry, event: { ...event, ...more } as never });
  if (how === "checkpoint") return { ...entry, checkpoint: `${entry.checkpoint.slice(1)}x` };
  if (how === "attempt") return with_({ attempt: 7 });
  if (how === "time") return with_({ atMs: event.atMs + 1 });
  if (how === "type") return with_({ type: "alert.resolved" });
  if (!("group" in event) || event.group === null) return with_({ arm: 99 });
  return with_({ group: { ...event.group, observation: { ...event.group.observation, executed: 9, succeeded: 1 } } });
}

const change = fc.record({
  which: fc.nat(20),
  how: fc.constantFrom("checkpoint" as const, "attempt" as const, "time" as const, "type" as const, "view" as const),
});

test.each(CONVERGENCE_FUNCTIONS)(
  "of histories under %s, whole or changed, the quick way finds what the plain way finds first",
  async (fn) => {
    const all = [...(await histories(fn, ["ok"])), ...(await histories(fn, ["failed", "ok"]))];
    expect(all.length).toBeGreaterThan(10);
    const replayer = new Replayer();
    for (const history of all) {
      expect(plain(history)).toBeNull();
      expect(said(() => replayer.divergence(history))).toBeNull();
    }
    const seen = new Set<unknown>();
    fc.assert(
      fc.property(fc.nat(all.length - 1), change, (index, one) => {
        const history = changed(all[index] as History, one);
        const found = said(() => replayer.divergence(history));
        const expected = plain(history);
        seen.add(typeof found);
        // The plain way goes on behind a difference, and may be refused there.
        if (typeof expected === "string" && typeof found === "number") expect(found).toBeGreaterThan(0);
        else expect(found).toEqual(expected);
      }),
    );
    expect(seen.size).toBeGreaterThan(1);
  },
);
