import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Change, Comparison, isNewlyExecuted, isNewlySkipped, type OutcomeRow } from "../../src/simulate/diff.ts";
import { Gates, parseCondition } from "../../src/simulate/diff-gates.ts";

const rowOf = (key: number, partition: number) =>
  fc.record({
    id: fc.constant(`0${partition}-${key.toString(16).padStart(24, "0")}`),
    policy: fc.constant("p"),
    alert: fc.constant({ fingerprint: "f", startsAt: "s", labels: { key: String(key % 3) } }),
    state: fc.constantFrom("Success" as const, "Skipped" as const, "Waiting" as const),
    reason: fc.constantFrom("below_count", "limit_reached"),
    attempts: fc.integer({ min: 0, max: 2 }),
    path: fc.constantFrom(["Idle" as const, "Success" as const], ["Idle" as const, "Skipped" as const]),
  });

const side = (partition: number): fc.Arbitrary<OutcomeRow[]> =>
  fc
    .uniqueArray(fc.nat(12), { maxLength: 10 })
    .chain((keys) => fc.tuple(...keys.map((key) => rowOf(key, partition))) as fc.Arbitrary<OutcomeRow[]>);

const keyOf = ({ id }: { id: string }) => id.slice(3);

function changesOf(
  was: readonly OutcomeRow[],
  now: readonly OutcomeRow[],
): { changes: Change[]; comparison: Comparison } {
  const comparison = new Comparison();
  for (const row of was) comparison.addWas(row);
  const changes = now.flatMap((row) => comparison.compare(row) ?? []);
  return { changes: [...changes, ...comparison.gone()], comparison };
}

describe("a comparison", () => {
  test("of a side with itself finds no change", () => {
    fc.assert(
      fc.property(side(1), (rows) => {
        expect(changesOf(rows, rows).changes).toEqual([]);
      }),
    );
  });

  test("names exactly the instances that differ, whatever partition their rule puts them into", () => {
    fc.assert(
      fc.property(side(1), side(2), (was, now) => {
        const texts = (rows: readonly OutcomeRow[]) =>
          new Map(rows.map(({ id, ...row }) => [keyOf({ id }), JSON.stringify(row)]));
        const [before, after] = [texts(was), texts(now)];
        const all = [...new Set([...before.keys(), ...after.keys()])];
        const expected = all.filter((key) => before.get(key) !== after.get(key));
        const { changes, comparison } = changesOf(was, now);
        expect(new Set(changes.map(keyOf))).toEqual(new Set(expected));
        expect([comparison.instances, comparison.changed]).toEqual([all.length, expected.length]);
      }),
    );
  });

  test("calls newly executed what acts now and did not, and newly skipped what is no longer acted on", () => {
    fc.assert(
      fc.property(side(1), side(2), (was, now) => {
        const attempts = (rows: readonly OutcomeRow[], key: string) =>
          rows.find((row) => keyOf(row) === key)?.attempts ?? 0;
        for (const change of changesOf(was, now).changes) {
          const key = keyOf(change);
          expect(isNewlyExecuted(change)).toBe(attempts(was, key) === 0 && attempts(now, key) > 0);
          const isSkipped = change.now === null || change.now.state === "Skipped";
          expect(isNewlySkipped(change)).toBe(change.was !== null && change.was.state !== "Skipped" && isSkipped);
        }
      }),
    );
  });
});

describe("gates", () => {
  const totals = { executed: 3, skipped: 1, waiting: 0, groups: 1, summaries: 0 };
  const summary = { alerts: 9, instances: 4, changed: 2, was: totals, now: { ...totals, executed: 5 } };

  test.each([
    ["now.executed > 4", true],
    ["now.executed > 5", false],
    ["was.executed>=3", true],
    ["changed != 0", true],
    ["changed == 0", false],
    ["alerts < 9", false],
    ["instances <= 4", true],
  ])("of %s fail: %s", (text, isFailing) => {
    const gates = new Gates({ failIf: [text], noNewlySkipped: [], noNewlyExecuted: [] });
    expect(gates.failures(summary).length).toBe(isFailing ? 1 : 0);
  });

  test.each(["executed > 1", "now.executed", "now.executed > many", "", "was.nothing == 1", "now.executed => 1"])(
    "refuse the condition %j and say how to write one",
    (text) => {
      expect(() => parseCondition(text)).toThrow(/Write FIELD OPERATOR NUMBER/);
    },
  );

  test("count only changes whose labels match", () => {
    const gates = new Gates({ failIf: [], noNewlySkipped: ['key="1"'], noNewlyExecuted: [] });
    const gone = (id: string, key: string): Change => ({
      id,
      policy: "p",
      alert: { fingerprint: "f", startsAt: "s", labels: { key } },
      was: { state: "Success", reason: null, attempts: 1, path: [] },
      now: null,
    });
    gates.look(gone("a", "2"));
    expect(gates.failures(summary)).toEqual([]);
    gates.look(gone("b", "1"));
    gates.look(gone("c", "1"));
    expect(gates.failures(summary)).toEqual(['2 newly skipped with key="1", the first is b']);
  });
});
