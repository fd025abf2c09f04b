import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCondition } from "../../src/detection/core/condition.ts";
import type { DetectedAlert } from "../../src/detection/core/detected-alert.ts";
import type { Level, Strategy } from "../../src/detection/core/strategy.ts";
import type { StateEvent } from "../../src/detection/records/record-types.ts";
import { modelDetection } from "../support/detection-model.ts";
import { DetectionWorld, eventsOf, groupOf, strategy } from "../support/detection-world.ts";
import { decodeGroupState, encodeGroupState } from "../support/group-state-codec.ts";

const level = (severity: string, when: string): fc.Arbitrary<Level> =>
  fc
    .record({
      window: fc.integer({ min: 1, max: 4 }),
      count: fc.integer({ min: 1, max: 4 }),
      recovery: fc.integer({ min: 1, max: 3 }),
    })
    .map(({ window, count, recovery }) => ({
      severity,
      when: parseCondition(when),
      trigger: { count: Math.min(count, window), window },
      recovery: { count: recovery },
    }));

const strategyNamed = (name: string, intervalSeconds: number): fc.Arbitrary<Strategy> =>
  fc
    .record({
      levels: fc.tuple(
        fc.oneof(level("critical", "> 6"), level("critical", "> 8 or change > 150%")),
        fc.oneof(level("warning", "> 3 or == 0"), level("warning", "change(3) > 40 or change < -60%")),
        fc.integer({ min: 1, max: 2 }),
      ),
      noDataIntervals: fc.option(fc.integer({ min: 1, max: 4 })),
      resendIntervals: fc.integer({ min: 1, max: 9 }),
    })
    .map(({ levels: [critical, warning, count], noDataIntervals, resendIntervals }) =>
      strategy({
        name,
        intervalSeconds,
        levels: [critical, warning].slice(-count),
        noData:
          noDataIntervals === null
            ? null
            : { intervals: noDataIntervals, severity: "nodata", keepSeconds: 1, expect: [] },
        resendSeconds: resendIntervals * intervalSeconds + 1,
      }),
    );

const strategies = fc
  .integer({ min: 1, max: 4 })
  .chain((interval) =>
    fc.tuple(strategyNamed("b", interval), strategyNamed("a", interval), fc.integer({ min: 1, max: 2 })),
  )
  .map(([one, two, count]) => [one, two].slice(0, count));

/** Strategies whose records may be later than an interval, or not late at all. */
const strategiesOfAnyLateness = fc
  .tuple(strategies, fc.constantFrom(1, 1, 0, 2, 5))
  .map(([some, intervals]) => some.map((one) => ({ ...one, latenessSeconds: intervals * one.intervalSeconds })));

/** Steps forward, mostly small ones; now and then a hole of an hour, after which series are forgotten and windows empty. */
const records = fc.array(
  fc.tuple(
    fc.oneof(
      { weight: 30, arbitrary: fc.integer({ min: 0, max: 2 }) },
      { weight: 1, arbitrary: fc.integer({ min: 20, max: 3_600 }) },
    ),
    fc.oneof({ weight: 20, arbitrary: fc.integer({ min: 0, max: 9 }) }, { weight: 1, arbitrary: fc.constant(null) }),
    fc.constantFrom("h1", "h1", "h2"),
  ),
  { maxLength: 60 },
);

/**
 * Series that fall silent for about as long as a limit says, and come back just before it, at it or behind it: missing
 * points, an alert that ends by silence, a series that is forgotten, a leap of the clock, also one after the other.
 */
const livesOf = (...latenesses: number[]) =>
  fc
    .record({
      some: strategies,
      lateness: fc.constantFrom(...latenesses),
      silence: fc.option(fc.integer({ min: 1, max: 8 })),
      expect: fc.subarray(["h1", "h3", "h4"], { maxLength: 2 }),
      hosts: fc.constantFrom(["h1"], ["h1", "h2"], ["h1", "h1", "h2", "h3"]),
    })
    .chain(({ some, lateness, silence, expect: expected, hosts }) => {
      const interval = (some[0] as Strategy).intervalSeconds;
      const limits = [1, 2, 3, 4, silence ?? 5, 1_800 / interval, 1_800 / interval, 3_600 / interval];
      const about = fc
        .tuple(fc.constantFrom(...limits), fc.integer({ min: -2 * lateness, max: 2 * lateness }))
        .map(([intervals, more]) => Math.max(0, Math.round((intervals + more / 2) * interval)));
      const step = fc.oneof({ weight: 8, arbitrary: fc.integer({ min: 0, max: 2 }) }, { weight: 1, arbitrary: about });
      const value = fc.oneof(
        { weight: 20, arbitrary: fc.integer({ min: 0, max: 9 }) },
        { weight: 1, arbitrary: fc.constant(null) },
      );
      return fc.record({
        some: fc.constant(
          some.map((one, index) => ({
            ...one,
            latenessSeconds: lateness * interval,
            levels: one.levels.map((level) =>
              silence === null
                ? level
                : { ...level, recovery: { ...level.recovery, silenceSeconds: silence * interval + index } },
            ),
            noData: one.noData && { ...one.noData, expect: expected.map((host) => ({ host })) },
          })),
        ),
        steps: fc.array(fc.tuple(step, value, fc.constantFrom(...hosts)), { maxLength: 60 }),
      });
    });

const anyLives = fc.oneof(fc.record({ some: strategiesOfAnyLateness, steps: records }), livesOf(1, 1, 0, 2, 5));

/** A record per distinct id, in time order. */
function timeline(steps: readonly (readonly [number, number | null, string])[]): [number, number | null, string][] {
  let time = 1_000;
  const seen = new Set<string>();
  return steps.flatMap(([step, value, host]) => {
    time += step;
    const isNew = !seen.has(`${time} ${host}`);
    seen.add(`${time} ${host}`);
    return isNew ? [[time, value, host] as [number, number | null, string]] : [];
  });
}

function told(alerts: readonly DetectedAlert[]) {
  return alerts.map(({ time, reason, dimensionsMd5, strategy: name, severity, alert }) => {
    return {
      time,
      series: dimensionsMd5,
      strategy: name,
      severity,
      reason,
      startsAt: alert.startsAtMs / 1000,
    };
  });
}

/** Series and records are interleaved in any way; what each alert says is the same. */
function sorted<Alert extends { time: number }>(alerts: readonly Alert[]): Alert[] {
  const textOf = (alert: Alert) => JSON.stringify(alert);
  return [...alerts].sort((a, b) => a.time - b.time || (textOf(a) < textOf(b) ? -1 : 1));
}

function inBatches(events: readonly StateEvent[], cuts: readonly number[]): StateEvent[][] {
  const batches: StateEvent[][] = [[]];
  for (const [i, event] of events.entries()) {
    if (cuts.includes(i)) batches.push([]);
    (batches.at(-1) as StateEvent[]).push(event);
  }
  return batches;
}

const cuts = fc.array(fc.integer({ min: 0, max: 80 }), { maxLength: 12 });

describe("detection", () => {
  test("equals the slow model, in any order, with repetitions, however records are cut into batches", () => {
    const disorder = fc.array(fc.tuple(fc.nat(), fc.nat(), fc.boolean()), { maxLength: 15 });
    fc.assert(
      fc.property(fc.record({ life: anyLives, moves: disorder, cutAt: cuts, flush: fc.boolean() }), (run) => {
        const {
          life: { some, steps },
          moves,
          cutAt,
          flush,
        } = run;
        const world = new DetectionWorld(...some);
        const events = eventsOf(world.group, timeline(steps));
        // Any record may come again anywhere, or only later: as a duplicate, late, or too old.
        for (const [from, to, isRepeated] of moves) {
          const index = from % Math.max(events.length, 1);
          const moved = events[index];
          if (moved === undefined) continue;
          if (!isRepeated) events.splice(index, 1);
          events.splice(to % (events.length + 1), 0, moved);
        }
        for (const batch of inBatches(events, cutAt)) world.takeEvents(batch);
        if (flush) world.take([], { flush });
        const model = modelDetection(world.group, events, flush);
        expect(told(world.steps.flatMap(({ alerts }) => alerts))).toEqual(
          model.alerts.map(({ row: _row, phase: _phase, ...alert }) => alert),
        );
        const { duplicates, late, rejected, withoutValue, received } = world.state.head.counters;
        expect({ duplicates, late, tooOld: rejected, withoutValue, received }).toEqual({
          duplicates: model.duplicates,
          late: model.late,
          tooOld: model.tooOld,
          withoutValue: model.withoutValue,
          received: events.length,
        });
      }),
      { numRuns: Number(process.env["BECALM_RUNS"] ?? 200) },
    );
  });

  test("tells of records in any order within the lateness, cut and stored anyhow, what the slow model tells of them in order", () => {
    // Thousandths of the lateness.
    const jitters = fc.array(fc.integer({ min: 0, max: 999 }), { minLength: 60, maxLength: 60 });
    fc.assert(
      fc.property(
        fc.record({ life: livesOf(1, 1, 2, 5), jitter: jitters, cutAt: cuts }),
        ({ life: { some, steps }, jitter, cutAt }) => {
          const group = groupOf(...some);
          const ordered = eventsOf(group, timeline(steps));
          // Each record is delayed by less than the lateness, so whatever overtakes it is less than that newer.
          const arrivals = ordered
            .map((event, i) => ({ event, atMs: event.time * 1_000 + (jitter[i] ?? 0) * group.latenessSeconds }))
            .sort((a, b) => a.atMs - b.atMs);
          const inOrder = new DetectionWorld(...some);
          inOrder.takeEvents(ordered);
          const shuffled = new DetectionWorld(...some);
          for (const batch of inBatches(
            arrivals.map(({ event }) => event),
            cutAt,
          )) {
            shuffled.takeEvents(batch);
            shuffled.state = decodeGroupState(JSON.parse(JSON.stringify(encodeGroupState(shuffled.state))));
          }
          // A live input has a clock of its own, which goes on while nothing comes, and never beyond the time of the data.
          const live = new DetectionWorld(...some);
          const untilTime = ordered.at(-1)?.time ?? 0;
          for (const [i, { event, atMs }] of arrivals.entries()) {
            if (cutAt.includes(i)) live.takeEvents([], { clockTime: Math.min(Math.floor(atMs / 1_000), untilTime) });
            live.takeEvents([event]);
          }
          const [expected, found, liveFound] = [inOrder, shuffled, live].map((world) => {
            world.take([], { flush: true });
            const alerts = sorted(world.steps.flatMap((step) => step.alerts));
            const auditEvents = world.steps.flatMap((step) => step.auditEvents);
            const audit = auditEvents.map((event) => JSON.stringify(event)).sort();
            return { alerts, audit, state: encodeGroupState(world.state) };
          });
          expect(found).toEqual(expected);
          const model = modelDetection(group, ordered, true).alerts.map(
            ({ row: _row, phase: _phase, ...alert }) => alert,
          );
          expect(sorted(told(found?.alerts ?? []))).toEqual(sorted(model));
          // A file has no clock of its own: a leap at its end waits for a word that nobody will say.
          if (liveFound?.state.head.clockTime === expected?.state.head.clockTime)
            expect(liveFound?.alerts).toEqual(expected?.alerts);
        },
      ),
      { numRuns: Number(process.env["BECALM_RUNS"] ?? 150) },
    );
  });

  test("goes on from a stored state as if it had never stopped, and forgets nothing it read again", () => {
    fc.assert(
      fc.property(strategies, records, cuts, (some, steps, cutAt) => {
        const steady = new DetectionWorld(...some);
        const restarted = new DetectionWorld(...some);
        for (const batch of inBatches(eventsOf(steady.group, timeline(steps)), cutAt)) {
          const before = JSON.stringify(encodeGroupState(restarted.state));
          expect(restarted.takeEvents(batch).alerts).toEqual(steady.takeEvents(batch).alerts);
          // A step that was not committed leaves the state as it was; the next process takes the batch again.
          const lost = new DetectionWorld(...some);
          lost.state = decodeGroupState(JSON.parse(before));
          lost.takeEvents(batch);
          restarted.state = decodeGroupState(JSON.parse(JSON.stringify(encodeGroupState(lost.state))));
          const again = restarted.takeEvents(batch).alerts;
          // Of a series that was forgotten nothing is known: its records are those of a new one.
          const forgot = lost.steps.some(({ auditEvents }) =>
            auditEvents.some(({ kind }) => kind === "series_retired"),
          );
          expect(forgot ? [] : again).toEqual([]);
          if (forgot) restarted.state = decodeGroupState(JSON.parse(JSON.stringify(encodeGroupState(lost.state))));
        }
      }),
      { numRuns: 100 },
    );
  });
});
