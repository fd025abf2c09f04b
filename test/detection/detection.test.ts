import { describe, expect, test } from "vitest";
import { advance } from "../../src/detection/core/advance.ts";
import { conditionHolds, conditionText, parseCondition } from "../../src/detection/core/condition.ts";
import { applyChanges, emptyGroupState } from "../../src/detection/core/group-state.ts";
import { createRecordRouter } from "../../src/detection/core/router.ts";
import { fieldsOf } from "../../src/detection/core/strategy.ts";
import { groupStrategies } from "../../src/detection/core/strategy-group.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import { DetectionWorld, eventsOf, groupOf, points, strategy } from "../support/detection-world.ts";
import { decodeGroupState, encodeGroupState } from "../support/group-state-codec.ts";

const LEVELS = [
  { severity: "critical", when: parseCondition("> 8"), trigger: { count: 2, window: 3 }, recovery: { count: 1 } },
  { severity: "warning", when: parseCondition("> 5"), trigger: { count: 2, window: 3 }, recovery: { count: 2 } },
];

describe("conditions", () => {
  test.each([
    ["> 5", [6], [5, 4]],
    [">= 5", [5], [4]],
    ["< 5", [4], [5]],
    ["value <= -1.5e1", [-15], [-14]],
    ["== 0", [0], [1]],
    ["!= 0", [1], [0]],
    [">= 1 and < 3 or == 9", [1, 2, 9], [0, 3]],
    ["== 1 or > 3 and < 5", [1, 4], [5, 3]],
  ])("%s holds for %j and not for %j", (text, holding, others) => {
    const condition = parseCondition(text);
    expect([...holding, ...others].filter((value) => conditionHolds(condition, value))).toEqual(holding);
    expect(parseCondition(conditionText(condition))).toEqual(condition);
  });

  test.each([
    ["change > 50%", 16, [10], true],
    ["change > 50%", 15, [10], false],
    ["change < -40", 5, [10], true],
    ["change(3) > 50", 16, [10, 9, 11], true],
    ["change(3) > 50", 16, [10, 9], false],
    ["change != 0", 16, [], false],
    ["change > 1000%", 1, [0], true],
    ["change == 0", 0, [0], true],
    ["> 90 or change(2) >= 100%", 20, [10, 10], true],
  ])("%s at %d behind %j: %s", (...given) => {
    const [text, value, values, expected] = given;
    const condition = parseCondition(text);
    const before = values.map((one, index) => ({ value: one, ticks: index + 1 }));
    expect(conditionHolds(condition, value, before)).toBe(expected);
    expect(parseCondition(conditionText(condition))).toEqual(condition);
  });

  test("knows no change behind a hole: the points before must lie within twice their number of intervals", () => {
    const holds = (text: string, ...ticks: number[]) =>
      conditionHolds(
        parseCondition(text),
        100,
        ticks.map((one) => ({ value: 1, ticks: one })),
      );
    expect([holds("change > 1", 2), holds("change > 1", 3)]).toEqual([true, false]);
    expect([holds("change(2) > 1", 1, 4), holds("change(2) > 1", 1, 5)]).toEqual([true, false]);
  });

  test.each(["change", "change(0) > 1", "change(31) > 1", "change(x) > 1", "change > 5ms", "changes > 1"])(
    "%j is refused as a change",
    (text) => {
      expect(() => parseCondition(text)).toThrow(expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }));
    },
  );

  test.each(["", ">", "5", "> five", "> 1 and", "> 1 xor < 2", "=> 1", "> 1e999", "(> 1)"])("%j is refused", (text) => {
    expect(() => parseCondition(text)).toThrow(expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }));
  });
});

describe("a level", () => {
  test("of a change fires at a step inside of the normal range, and says so", () => {
    const when = parseCondition("> 90 or change > 50%");
    const level = { severity: "warning", when, trigger: { count: 1, window: 1 }, recovery: { count: 2 } };
    const world = new DetectionWorld(strategy({ levels: [level] }));
    world.take(points(1_000, [20, 21, 40, 41, 40]), { flush: true });
    expect(world.story()).toEqual(["1020 triggered warning h1", "1040 recovered warning h1"]);
    const [fired] = world.steps[0]?.alerts ?? [];
    expect(fired?.alert.annotations["summary"]).toContain("value 40, change > 50% in 1 of 1 points");
  });

  test("fires at the point that makes the count full, and is over after its normal points in a row", () => {
    const world = new DetectionWorld(strategy());
    world.take(points(1_000, [6, 0, 6, 0, 6, 0, 0, 0]), { flush: true });
    expect(world.story()).toEqual(["1020 triggered warning h1", "1060 recovered warning h1"]);
  });

  test("sends alerts as the rest of the system takes them, dated by the data", () => {
    const world = new DetectionWorld(
      strategy({ labels: { team: "hosts" }, annotations: { summary: "{{ host }} has {{ value }} ({{ team }})" } }),
    );
    const { alerts } = world.take(points(1_000, [6, 7, 0, 1]), { flush: true });
    const labels = { alertname: "busy", host: "h1", severity: "warning", team: "hosts" };
    const whole = { labels, startsAtMs: 1_010_000, generatorURL: null, fingerprint: fingerprintOf(labels) };
    expect(alerts.map(({ alert }) => alert)).toEqual([
      { ...whole, endsAtMs: null, status: "firing", annotations: { summary: "h1 has 7 (hosts)" } },
      { ...whole, endsAtMs: 1_030_000, status: "resolved", annotations: { summary: "h1 has 1 (hosts)" } },
    ]);
  });

  test("needs its full count again after it was over, so each flap is an episode of its own", () => {
    const world = new DetectionWorld(strategy({ levels: [{ ...LEVELS[1], recovery: { count: 1 } } as never] }));
    world.take(points(1_000, [6, 6, 0, 6, 6]), { flush: true });
    expect(world.story()).toEqual([
      "1010 triggered warning h1",
      "1020 recovered warning h1",
      "1040 triggered warning h1",
    ]);
  });

  test("does not join points on the two sides of a hole in the data", () => {
    const world = new DetectionWorld(strategy());
    world.take([...points(1_000, [6]), ...points(1_030, [6])], { flush: true });
    expect(world.story()).toEqual([]);
  });

  test("is resolved when a higher one fires, held back meanwhile, and fires anew when that is over", () => {
    const world = new DetectionWorld(strategy({ levels: LEVELS }));
    world.take(points(1_000, [6, 6, 9, 9, 9, 6, 0, 0]), { flush: true });
    expect(world.story()).toEqual([
      "1010 triggered warning h1",
      "1030 triggered critical h1",
      "1030 superseded warning h1",
      "1050 recovered critical h1",
      "1050 triggered warning h1",
      "1070 recovered warning h1",
    ]);
  });

  test("is sent again every resend interval while it is open, with the latest value", () => {
    const world = new DetectionWorld(strategy({ resendSeconds: 25, annotations: { summary: "{{ value }}" } }));
    const { alerts } = world.take(points(1_000, [6, 6, 6, 6, 7, 7, 7]), { flush: true });
    expect(world.story()).toEqual(["1010 triggered warning h1", "1040 resent warning h1"]);
    expect(alerts[1]?.alert).toMatchObject({ startsAtMs: 1_010_000, status: "firing", annotations: { summary: "7" } });
  });

  test("keeps series apart, and orders what happens at the same time by series", () => {
    const world = new DetectionWorld(strategy());
    world.take([...points(1_000, [6, 6], "h2"), ...points(1_000, [6, 6], "h1"), ...points(1_000, [0, 6], "h3")], {
      flush: true,
    });
    expect(world.story().sort()).toEqual(["1010 triggered warning h1", "1010 triggered warning h2"]);
    const md5s = world.steps[0]?.alerts.map(({ dimensionsMd5 }) => dimensionsMd5);
    expect(md5s).toEqual([...(md5s ?? [])].sort());
  });

  test("gives a check result for every point and the newest check point for every series", () => {
    const world = new DetectionWorld(strategy({ levels: LEVELS }));
    const { checkResults, lastCheckpoints } = world.take(points(1_000, [6, 9]), { flush: true });
    const rows = checkResults.flatMap(({ severity, rows }) =>
      rows.map(({ time, value, isAnomalous }) => [severity, time, value, isAnomalous]),
    );
    expect(rows.sort(([, a], [, b]) => Number(a) - Number(b))).toEqual([
      ["critical", 1_000, 6, false],
      ["warning", 1_000, 6, true],
      ["critical", 1_010, 9, true],
      ["warning", 1_010, 9, true],
    ]);
    expect(lastCheckpoints.map(({ severity, time }) => [severity, time])).toEqual([
      ["critical", 1_010],
      ["warning", 1_010],
    ]);
  });

  test("has no label for a dimension that is empty", () => {
    const world = new DetectionWorld(strategy());
    const { alerts } = world.take(points(1_000, [6, 6], ""), { flush: true });
    expect(alerts[0]?.alert.labels).toEqual({ alertname: "busy", severity: "warning" });
  });

  test("that a strategy lost is resolved under the labels that fired", () => {
    const world = new DetectionWorld(strategy({ levels: LEVELS, labels: { team: "old" } }));
    world.take(points(1_000, [6, 6]), { flush: true });
    const group = groupOf(strategy({ levels: LEVELS.slice(0, 1), labels: { team: "new" } }));
    const { alerts } = advance(world.state, group, { events: eventsOf(group, points(1_020, [6])), flush: true });
    expect(alerts.map(({ reason, alert }) => [reason, alert.status, alert.labels["team"]])).toEqual([
      ["strategy_changed", "resolved", "old"],
    ]);
  });

  test("of strategies that are named like parts of every object works as any other", () => {
    const world = new DetectionWorld(strategy({ name: "constructor" }), strategy({ name: "toString" }));
    world.take(points(1_000, [6, 6, 0, 0]), { flush: true });
    expect(world.story()).toHaveLength(4);
  });
});

describe("no data", () => {
  const silent = strategy({
    levels: [],
    noData: { intervals: 3, severity: "critical", keepSeconds: 7_200, expect: [] },
  });

  test("is told when the watermark shows that the points are missing, and is over with the next point", () => {
    const world = new DetectionWorld(silent);
    world.take([...points(1_000, [1, 1], "gone"), ...points(1_000, [1, 1, 1, 1, 1, 1])]);
    expect(world.story()).toEqual(["1040 no_data critical gone"]);
    world.take([[1_060, 1]]);
    world.take([[1_070, 1, "gone"]], { flush: true });
    expect(world.story().slice(1)).toEqual(["1070 data_returned critical gone"]);
    expect(world.steps[0]?.alerts[0]?.alert.labels).toMatchObject({ no_data: "true", severity: "critical" });
  });

  test("is not told while nothing moves the watermark", () => {
    const world = new DetectionWorld(silent);
    world.take(points(1_000, [1, 1]), { flush: true });
    expect(world.story()).toEqual([]);
  });

  test("takes a record without a value for no point", () => {
    const world = new DetectionWorld(silent);
    world.take([...points(1_000, [1, null, null, null, null], "gone"), ...points(1_000, [1, 1, 1, 1, 1, 1])]);
    expect(world.story()).toEqual(["1030 no_data critical gone"]);
    expect(world.state.head.counters.withoutValue).toBe(4);
  });

  test("ends with the series, which is forgotten after its keep time and told so", () => {
    const world = new DetectionWorld(silent);
    world.take([[1_000, 1, "gone"], ...Array.from({ length: 14 }, (_, i): [number, number] => [1_000 + i * 600, 1])]);
    const retired = world.steps
      .flatMap(({ auditEvents }) => auditEvents)
      .filter(({ kind }) => kind === "series_retired");
    expect(retired).toMatchObject([{ time: 8_200, lastTime: 1_000, openCount: 1 }]);
    expect(world.story().findLast((line) => line.endsWith("gone"))).toBe("8200 series_retired critical gone");
    expect(world.state.series.size).toBe(1);
  });
});

describe("duplicates, order and lateness", () => {
  test("a record is taken once within ten intervals, and its repetition is counted", () => {
    const world = new DetectionWorld(strategy());
    world.take([
      [1_000, 6],
      [1_000, 6],
      [1_100, 0],
    ]);
    const step = world.take([
      [1_000, 6],
      [1_110, 0],
    ]);
    expect(step.duplicates).toEqual([0]);
    expect(world.state.head.counters).toMatchObject({ received: 5, accepted: 3, duplicates: 2, late: 0 });
  });

  test("a record of exactly ten intervals ago is still known, and so is an older point that is remembered", () => {
    const world = new DetectionWorld(strategy());
    world.take([
      [1_001, 6],
      [1_009, 6],
    ]);
    world.take([[1_101, 0]]);
    expect(world.take([[1_001, 6]]).duplicates).toEqual([0]);
    world.take([[1_102, 0]]);
    expect(
      world.take([
        [1_001, 6],
        [1_009, 6],
      ]),
    ).toMatchObject({ late: [], duplicates: [0, 1] });
  });

  test("a point one interval behind the newest is in order, one that comes behind a detected one is late", () => {
    const world = new DetectionWorld(strategy());
    world.take([[1_010, 6]]);
    expect(world.take([[1_000, 0]]).late).toEqual([]);
    expect(world.take([[999, 0]]).late).toEqual([0]);
    world.take([[1_030, 0]], { flush: true });
    expect(world.story()).toEqual([]);
  });

  test("late points are put in their place: an episode that they complete is sent, with its end", () => {
    const world = new DetectionWorld(strategy());
    world.take([...points(1_000, [0, 0]), ...points(1_050, [0, 0, 0])]);
    const step = world.take(points(1_020, [9, 9, 9]));
    expect(step.late).toEqual([0, 1, 2]);
    expect(world.take([[1_020, 9]]).duplicates).toEqual([0]);
    world.take([], { flush: true });
    expect(world.story()).toEqual(["1030 triggered warning h1", "1060 recovered warning h1"]);
  });

  test.each([
    [10, 1_800],
    [300, 3_000],
  ])("at an interval of %d s a record more than %d s old is refused", (intervalSeconds, limitSeconds) => {
    const world = new DetectionWorld(strategy({ intervalSeconds }));
    world.take([[10_000, 0]]);
    const step = world.take([
      [10_000 - limitSeconds, 0],
      [10_000 - limitSeconds - 1, 0],
    ]);
    expect(step.rejections).toMatchObject([{ index: 1, rejection: { reason: "too_old" } }]);
    expect(step.rejections).toHaveLength(1);
  });

  test.each([
    [10, 1_800],
    [300, 1_800],
    [600, 3_000],
  ])("at an interval of %d s a hole of more than %d s is reported", (intervalSeconds, limitSeconds) => {
    const gaps = [limitSeconds, limitSeconds + 1].map((hole) => {
      const world = new DetectionWorld(strategy({ intervalSeconds }));
      world.take(
        [
          [9_000, 0],
          [9_000 + hole, 0],
        ],
        { flush: true },
      );
      return world.steps.flatMap(({ auditEvents }) => auditEvents).filter(({ kind }) => kind === "gap");
    });
    expect(gaps).toEqual([[], [{ kind: "gap", fromTime: 9_000, toTime: 9_001 + limitSeconds, limitSeconds }]]);
  });

  test("after a flush what comes before the newest point of its series is late", () => {
    const world = new DetectionWorld(strategy());
    world.take([[1_000, 6]], { flush: true });
    expect(
      world.take([
        [1_000, 6, "h2"],
        [999, 6],
        [1_001, 6],
      ]),
    ).toMatchObject({ late: [1], rejections: [] });
  });
});

describe("the state", () => {
  test("is only read by a step: the same step again gives the same", () => {
    const world = new DetectionWorld(strategy({ levels: LEVELS }));
    world.take(points(1_000, [6, 6, 9]));
    const before = JSON.stringify(encodeGroupState(world.state));
    const events = eventsOf(world.group, points(1_030, [9, 0, 0, 0]));
    const [one, two] = [1, 2].map(() => advance(world.state, world.group, { events }));
    expect(one).toEqual(two);
    expect(JSON.stringify(encodeGroupState(world.state))).toBe(before);
  });

  test("holds ten intervals of records, one overlap of points and one entry per series, however many records came", () => {
    const world = new DetectionWorld(strategy({ levels: LEVELS }));
    const sizes = [0, 1, 2, 3, 4].map((round) => {
      for (let i = 0; i < 100; i += 1)
        world.take([
          [10_000 + round * 1_000 + i * 10, i % 10],
          [10_000 + round * 1_000 + i * 10, 1, "h2"],
        ]);
      return JSON.stringify(encodeGroupState(world.state)).length;
    });
    expect(world.state.seenCount).toBeLessThanOrEqual(22);
    expect(world.state.pendingCount).toBe(2);
    // The first round has fewer points to remember.
    const later = sizes.slice(1);
    expect(Math.max(...later) - Math.min(...later)).toBeLessThan(1_500);
  });

  test("of a newer format or of something else is refused, never started afresh", () => {
    const stored = encodeGroupState(emptyGroupState());
    expect(() => decodeGroupState({ ...stored, format: 2 })).toThrow(
      expect.objectContaining({ code: "BECALM_CHECKPOINT_NEWER" }),
    );
    for (const broken of [null, "", {}, { ...stored, seen: 5 }, { ...stored, head: null }]) {
      expect(() => decodeGroupState(broken)).toThrow(expect.objectContaining({ code: "BECALM_CHECKPOINT_INVALID" }));
    }
  });

  test("takes changes in any number of pieces that a store may hold", () => {
    const world = new DetectionWorld(strategy({ levels: LEVELS }));
    const replica = emptyGroupState();
    for (const value of [6, 6, 9, 9, 0, 0]) {
      const step = world.take([[1_000 + world.steps.length * 10, value]]);
      applyChanges(replica, JSON.parse(JSON.stringify(step.changes)));
    }
    expect(encodeGroupState(replica)).toEqual(encodeGroupState(world.state));
  });
});

describe("the router", () => {
  const cpu = strategy({ name: "cpu", query: { ...strategy().query, filter: { metric: "cpu", port: "80" } } });
  const any = strategy({ name: "any", query: { ...strategy().query, value: "other" } });
  const groups = groupStrategies([cpu, any, { ...cpu, name: "cpu2" }]);
  const route = createRecordRouter(groups);

  test("puts strategies that read the same records in the same way into one group", () => {
    expect(groups.map(({ strategies }) => strategies.map(({ name }) => name))).toEqual([["cpu", "cpu2"], ["any"]]);
    expect(groupStrategies([cpu, { ...cpu, name: "slow", intervalSeconds: 60 }])).toHaveLength(2);
  });

  test("gives a record to every group whose filter it passes, compared as text", () => {
    const { events, rejection } = route({ metric: "cpu", port: 80, value: 1, other: 2, time: 1_000, host: "h" });
    expect(events.map(({ group, event }) => [group.strategies[0]?.name, event.value])).toEqual([
      ["cpu", 1],
      ["any", 2],
    ]);
    expect(rejection).toBeNull();
  });

  test("leaves alone what passes no filter, and refuses what passes one and cannot be read", () => {
    const onlyCpu = createRecordRouter(groups.slice(0, 1));
    expect(onlyCpu({ metric: "disk" })).toEqual({ events: [], rejection: null });
    expect(onlyCpu({ metric: { toString: 1 }, port: "80" })).toEqual({ events: [], rejection: null });
    expect(onlyCpu({ metric: "cpu", port: "80", value: "x", time: 1 }).rejection).toMatchObject({
      reason: "value_not_a_number",
    });
    expect(onlyCpu([]).rejection).toMatchObject({ reason: "record_not_an_object" });
  });

  test("knows the fields that records must have", () => {
    expect(fieldsOf([cpu, any])).toEqual(["metric", "port", "value", "time", "host", "other"]);
  });
});
