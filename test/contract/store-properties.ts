/** Random commits against a model of the port that is slow and obvious. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Commit, CommitOutcome, TallyWrite } from "../../src/stores/store.ts";
import type { StoreWorld } from "./store-contract.ts";
import {
  changedInstance,
  checkedGroup,
  commitOf,
  effectOf,
  everythingIn,
  groupOf,
  newInstance,
  timerOf,
} from "./store-fixtures.ts";
import { StoreModel } from "./store-model.ts";

const PARTITIONS = 2;
const NAMES = ["a", "b", "c"];
const GROUPS = ["g", "h"];
const GROUP_PLACES = [0, 1].flatMap((partition) => GROUPS.map((id) => ({ partition, id })));

type Draw = { commit: Commit; resent: boolean };

const numberOf = (max: number) => fc.integer({ min: 0, max });
const nameOf = fc.constantFrom(...NAMES);
const version = fc.constantFrom(0, 0, 1, 1, 2, 3);

/** Versions are guesses, so a good part of the commits is refused. */
const draw: fc.Arbitrary<Draw> = fc
  .record({
    partition: numberOf(PARTITIONS - 1),
    group: fc.option(fc.record({ id: fc.constantFrom(...GROUPS), version, isCompared: fc.boolean() })),
    instances: fc.uniqueArray(
      fc.record({
        name: nameOf,
        version,
        createdAtMs: numberOf(2),
        lines: fc.array(fc.string(), { maxLength: 2 }),
        body: fc.constantFrom("same", "other"),
      }),
      {
        selector: ({ name }) => name,
        maxLength: 2,
      },
    ),
    effects: fc.uniqueArray(nameOf, { maxLength: 2 }),
    settled: fc.uniqueArray(nameOf, { maxLength: 2 }),
    armed: fc.array(
      fc.record({ name: nameOf, dueAtMs: numberOf(3), arm: fc.constantFrom(1, 2, 10), isApproval: fc.boolean() }),
      { maxLength: 3 },
    ),
    cancelled: fc.array(fc.record({ name: nameOf, arm: fc.constantFrom(1, 2, 10), isApproval: fc.boolean() }), {
      maxLength: 2,
    }),
    added: fc.array(
      fc.record({ set: fc.constantFrom("waiters" as const, "held" as const), name: nameOf, order: numberOf(3) }),
      { maxLength: 2 },
    ),
    removed: fc.array(fc.record({ set: fc.constantFrom("waiters" as const, "held" as const), name: nameOf }), {
      maxLength: 1,
    }),
    episodes: fc.uniqueArray(
      fc.record({ name: nameOf, expected: fc.constantFrom(null, null, "1", "2"), value: fc.constantFrom("1", "2") }),
      { selector: ({ name }) => name, maxLength: 2 },
    ),
    tallies: fc.uniqueArray(
      fc.oneof(
        fc.record({ key: nameOf, taken: fc.constantFrom(null, 0, 1, 2) }),
        fc.record({ key: nameOf, added: fc.uniqueArray(nameOf), removed: fc.uniqueArray(nameOf, { maxLength: 1 }) }),
      ),
      { selector: ({ key }) => key, maxLength: 2 },
    ),
    resent: fc.boolean(),
  })
  .map((parts) => {
    const { partition, resent } = parts;
    const own = (name: string) => `0${partition}-${name}`;
    const lane = (isApproval: boolean) => (isApproval ? ("approval" as const) : ("work" as const));
    const isCompared = parts.group?.isCompared === true && parts.group.version > 0;
    const hasMembers = parts.group !== null && !isCompared;
    const commit = commitOf({
      partition,
      group:
        parts.group === null
          ? null
          : isCompared
            ? checkedGroup(parts.group.version, parts.group.id)
            : groupOf(parts.group.version, { id: parts.group.id }),
      instances: parts.instances.map(({ name, version: expectedVersion, createdAtMs, lines, body }) => {
        const historyLines = lines.map((line) => line.replaceAll("\n", ""));
        return expectedVersion === 0
          ? newInstance(own(name), { body, createdAtMs, historyLines })
          : changedInstance(own(name), expectedVersion, { historyLines });
      }),
      episodes: parts.episodes.map(({ name, expected, value }) => ({ key: name, expected, value })),
      tallies: parts.tallies.map((tally): TallyWrite => {
        const { key } = tally;
        if ("added" in tally) return { kind: "count", ...tally };
        const { taken } = tally;
        return { kind: "take", key, expected: taken === null ? null : { count: taken, sample: NAMES.slice(0, taken) } };
      }),
      effects: parts.effects.map((name) => effectOf(own(name), { partition })),
      settledEffectIds: parts.settled.map(own),
      timersArmed: parts.armed.map(({ name, dueAtMs, arm, isApproval }) =>
        timerOf(own(name), dueAtMs, { arm, lane: lane(isApproval) }),
      ),
      timersCancelled: parts.cancelled.map(({ name, arm, isApproval }) =>
        timerOf(own(name), 0, { arm, lane: lane(isApproval) }),
      ),
      membersAdded: hasMembers
        ? parts.added.map(({ set, name, order }) => ({ set, instanceId: own(name), order }))
        : [],
      membersRemoved: hasMembers ? parts.removed.map(({ set, name }) => ({ set, instanceId: own(name) })) : [],
    });
    return { commit, resent };
  });

export function storeProperties(name: string, makeWorld: () => Promise<StoreWorld>, { runs }: { runs: number }): void {
  describe(`${name}: random commits`, () => {
    test("leave exactly what the model holds, with the same outcomes, however many are sent at once", async () => {
      const outcomes = new Set<CommitOutcome>();
      const draws = fc.array(draw, { minLength: 5, maxLength: 25 });
      await fc.assert(
        fc.asyncProperty(draws, fc.integer({ min: 1, max: 6 }), async (drawn, atOnce) => {
          const { store } = await makeWorld();
          await store.open({ mode: "live", partitions: PARTITIONS });
          const model = new StoreModel();
          // Drawn commits are used again when a failure is narrowed down: their ids belong to the run.
          const commits = drawn.flatMap(({ commit, resent }, index) =>
            Array.from({ length: resent ? 2 : 1 }, () => ({ ...commit, commitId: `run-${index}` })),
          );
          for (let from = 0; from < commits.length; from += atOnce) {
            const sent = commits.slice(from, from + atOnce);
            const answered = await Promise.all(sent.map((commit) => store.commit(commit)));
            for (const outcome of answered) outcomes.add(outcome);
            expect(answered).toEqual(sent.map((commit) => model.commit(commit)));
          }
          expect(await everythingIn(store, GROUP_PLACES)).toEqual(model.everything(GROUP_PLACES));
          for (const partition of [0, 1]) {
            const { episodes } = await store.load({ partition, groupId: null, instanceIds: [], episodeKeys: NAMES });
            expect(Object.fromEntries(episodes)).toEqual(model.episodes(partition, NAMES));
            for (const key of NAMES) expect(await store.tally({ partition, key })).toEqual(model.tally(partition, key));
          }
          await store.close();
        }),
        { numRuns: runs },
      );
      expect([...outcomes].sort()).toEqual(["applied", "conflict", "duplicate"]);
    });
  });
}
