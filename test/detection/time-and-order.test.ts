/** Lateness, lagging and silent series, clocks that are ahead, windows of samplers that are not exact. */
import { describe, expect, test } from "vitest";
import { advance } from "../../src/detection/core/advance.ts";
import { parseCondition } from "../../src/detection/core/condition.ts";
import { groupStatesOf } from "../../src/detection/core/state-pieces.ts";
import { DetectionWorld, points, strategy } from "../support/detection-world.ts";
import { decodeGroupState, encodeGroupState } from "../support/group-state-codec.ts";

const NO_DATA = { intervals: 3, severity: "nodata", keepSeconds: 7_200, expect: [] };
type Records = [number, number | null, string][];

const once = { trigger: { count: 1, window: 1 }, recovery: { count: 1 } };
const hour = {
  severity: "warning",
  when: parseCondition("> 90"),
  trigger: { count: 60, window: 60 },
  recovery: { count: 5 },
};

describe("a record without a value", () => {
  test("is not a record: the same with a value is taken", () => {
    const world = new DetectionWorld(strategy({ levels: [{ ...hour, ...once }] }));
    world.take([
      [1_000, null],
      [1_000, 97],
    ]);
    const step = world.take([[1_000, null]], { flush: true });
    expect(step).toMatchObject({ duplicates: [], alerts: [{ reason: "triggered" }] });
    const { received, accepted, duplicates, withoutValue } = world.state.head.counters;
    expect({ received, accepted, duplicates, withoutValue }).toEqual({
      received: 3,
      accepted: 1,
      duplicates: 0,
      withoutValue: 2,
    });
  });

  const lateness3 = { intervalSeconds: 3, latenessSeconds: 3 };
  test.each<[string, [number, number | null, string][], number]>([
    // With seed 672534310 the order within the lateness mattered here.
    [
      "the point that brings the clock near it",
      [
        [2_802, 0, "h1"],
        [2_804, null, "h1"],
      ],
      2_804,
    ],
    [
      "that point, of another series",
      [
        [2_802, 0, "h2"],
        [2_804, null, "h1"],
      ],
      2_804,
    ],
    [
      "that point, as one of several",
      [
        [2_802, 0, "h1"],
        [2_803, null, "h2"],
        [2_804, null, "h1"],
      ],
      2_804,
    ],
    [
      "a leap that a second series confirms",
      [
        [8_000, 0, "h1"],
        [8_001, 0, "h2"],
        [8_002, null, "h3"],
      ],
      8_002,
    ],
    [
      "a leap that goes on",
      [
        [8_000, 0, "h1"],
        [8_001, 0, "h1"],
        [8_002, 0, "h1"],
        [8_002, null, "h2"],
      ],
      8_002,
    ],
    [
      "a leap that nobody confirms",
      [
        [8_000, 0, "h1"],
        [8_002, null, "h1"],
      ],
      1_003,
    ],
  ])("moves the clock the same, before and behind %s, and in another batch", (_where, records, clockTime) => {
    const before: [number, number | null, string][] = [...points(1_000, [0]), [1_001, 0, "h2"], [1_003, 0, "h1"]];
    const orders = [
      records,
      records.toReversed(),
      [...records].sort(([, a], [, b]) => Number(a !== null) - Number(b !== null)),
    ];
    const heads = orders.map((order) => {
      const world = new DetectionWorld(strategy(lateness3));
      world.take(before);
      for (const record of order) {
        world.take([record]);
        world.state = decodeGroupState(JSON.parse(JSON.stringify(encodeGroupState(world.state))));
      }
      return world.state.head;
    });
    for (const head of heads) expect(head).toEqual({ ...heads[0], clockTime });
  });

  test("whose time is wrong neither moves the clock nor takes the place of a later one", () => {
    const world = new DetectionWorld(strategy(lateness3));
    world.take([
      [1_000, 0],
      [9_999_999, null],
      [2_802, null],
    ]);
    expect(world.state.head).toMatchObject({ clockTime: 1_000, aheadTime: 2_802 });
    world.take([[2_800, 0]]);
    expect(world.state.head).toMatchObject({ clockTime: 2_802, aheadTime: null });
  });

  test("is awaited from a stored state that remembered none, too", () => {
    const world = new DetectionWorld(strategy(lateness3));
    world.take([[1_000, 0]]);
    const { aheadTime: _unknown, ...head } = world.state.head;
    const stored = groupStatesOf(new Map([["head key", JSON.stringify(head)]])).states.get("key");
    expect(stored?.head).toEqual(world.state.head);
  });
});

describe("a point", () => {
  test("is detected as soon as no earlier one of its series can come within the lateness", () => {
    const world = new DetectionWorld(strategy());
    world.take(points(1_000, [6, 6]));
    expect(world.story()).toEqual([]);
    world.take([[1_020, 6]]);
    expect(world.story()).toEqual(["1010 triggered warning h1"]);
    const atOnce = new DetectionWorld(strategy({ latenessSeconds: 0 }));
    atOnce.take(points(1_000, [6, 6]));
    expect(atOnce.story()).toEqual(["1010 triggered warning h1"]);
  });

  test("that is late does not send an episode again that was sent", () => {
    const world = new DetectionWorld(strategy());
    world.take(points(1_000, [9, 9, 0, 0, 0, 0]));
    world.take([
      [1_005, 9],
      [1_015, 9],
    ]);
    expect(world.story()).toEqual(["1010 triggered warning h1", "1030 recovered warning h1"]);
  });

  test("that is late and completes the count of an episode that goes on opens it", () => {
    const world = new DetectionWorld(strategy());
    world.take([...points(1_000, [0, 0, 9]), ...points(1_040, [0, 9, 9].slice(0, 1))], { flush: true });
    expect(world.take([[1_030, 9]]).late).toEqual([0]);
    expect(world.story()).toEqual(["1030 triggered warning h1"]);
  });
});

describe("a series", () => {
  test("that lags behind the others is in order by itself, and not silent", () => {
    const world = new DetectionWorld(strategy({ noData: NO_DATA }));
    for (let i = 0; i < 20; i += 1)
      world.take([...points(2_000 + i * 10, [0], "h1"), ...points(1_000 + i * 10, [9], "h2")]);
    expect(world.story().filter((line) => !line.includes("resent"))).toEqual(["1010 triggered warning h2"]);
    expect(world.state.head.counters).toMatchObject({ late: 0, rejected: 0 });
  });

  test("whose clock is ahead harms itself only", () => {
    const world = new DetectionWorld(strategy({ noData: NO_DATA }));
    world.take([...points(1_000, [0], "h2"), ...points(9_000, [0], "ahead")]);
    for (let i = 1; i < 30; i += 1)
      world.take([...points(1_000 + i * 10, [9], "h1"), ...points(1_000 + i * 10, [0], "h2")]);
    expect(world.story()).toEqual(["1020 triggered warning h1"]);
    expect(world.state.head.clockTime).toBe(1_290);
  });

  test("that goes on alone after all others stopped is believed", () => {
    const world = new DetectionWorld(strategy({ noData: NO_DATA }));
    world.take([...points(1_000, [0], "gone"), ...points(1_000, [0])]);
    world.take(points(9_000, [0, 0, 0]));
    expect(world.story()).toContain("1030 no_data nodata gone");
    expect(world.state.head.clockTime).toBe(9_020);
  });

  test("harms itself only, when two of them have clocks that are ahead by different times", () => {
    const world = new DetectionWorld(strategy({ noData: NO_DATA }));
    for (let i = 0; i < 30; i += 1)
      world.take([
        ...points(1_000 + i * 10, [0], "h2"),
        ...points(9_000 + i * 10, [0], "ahead"),
        ...points(90_000 + i * 10, [0], "further"),
        ...points(1_000 + i * 10, [9], "h1"),
      ]);
    expect(world.story()).toEqual(["1010 triggered warning h1"]);
    expect(world.state.head.clockTime).toBe(1_290);
  });

  test("whose host is gone has its alert ended by the silence", () => {
    const level = { ...hour, trigger: { count: 1, window: 1 }, recovery: { count: 1, silenceSeconds: 600 } };
    const noData = { ...NO_DATA, intervals: 5, keepSeconds: 86_400 };
    const world = new DetectionWorld(strategy({ levels: [level], noData, resendSeconds: 3_000 }));
    world.take([[1_000, 100, "gone"], ...Array.from({ length: 100 }, (_, i): [number, number] => [1_000 + i * 10, 1])]);
    expect(world.story()).toEqual([
      "1000 triggered warning gone",
      "1050 no_data nodata gone",
      "1600 series_silent warning gone",
    ]);
  });

  test("that is expected and never came is reported, and over when it comes", () => {
    const noData = { ...NO_DATA, expect: [{ host: "h1" }, { host: "never" }] };
    const world = new DetectionWorld(strategy({ levels: [], noData }));
    world.take(points(1_000, [1, 1, 1, 1, 1, 1]));
    expect(world.story()).toEqual(["1030 no_data nodata never"]);
    expect(world.steps[0]?.alerts[0]?.alert.annotations["summary"]).toContain("never a value");
    world.take(points(1_060, [1], "never"), { flush: true });
    expect(world.story().slice(1)).toEqual(["1060 data_returned nodata never"]);
  });

  test("that is expected is missed from the group's first time on, however records are cut into batches", () => {
    const noData = { ...NO_DATA, expect: [{ host: "never" }] };
    const records: [number, number | null][] = [1_000, 1_010, 1_020, 1_030, 1_040].map((time) => [time, null]);
    const stories = [[records], records.map((record) => [record])].map((batches) => {
      const world = new DetectionWorld(strategy({ levels: [], noData }));
      for (const batch of batches) world.take(batch);
      return world.story();
    });
    expect(stories).toEqual([["1030 no_data nodata never"], ["1030 no_data nodata never"]]);
  });

  test("of a live input is missed by the clock", () => {
    const world = new DetectionWorld(strategy({ levels: [], noData: NO_DATA }));
    world.take(points(1_000, [1, 1]));
    const step = advance(world.state, world.group, { events: [], clockTime: 1_060 });
    expect(step.alerts.map(({ time, reason }) => [time, reason])).toEqual([[1_040, "no_data"]]);
  });
});

describe("a series that comes back less than one lateness after", () => {
  const level = { ...hour, trigger: { count: 1, window: 1 }, recovery: { count: 1, silenceSeconds: 600 } };
  const expected = { ...NO_DATA, expect: [{ host: "h1" }, { host: "h2" }] };
  const silent = ["1000 triggered warning h1", "1600 series_silent warning h1", "1605 triggered warning h1"];
  type Coming = { given: Parameters<typeof strategy>[0]; before: Records; backAt: number; story: string[] };
  test.each<[string, Coming]>([
    [
      "the silence that ends its alert",
      { given: { levels: [level] }, before: [[1_000, 99, "h1"]], backAt: 1_605, story: silent },
    ],
    [
      "it is forgotten",
      {
        given: { levels: [{ ...level, recovery: { count: 1, silenceSeconds: 7_200 } }] },
        before: [[1_000, 99, "h1"]],
        backAt: 8_205,
        story: ["1000 triggered warning h1", "8200 series_retired warning h1", "8205 triggered warning h1"],
      },
    ],
    [
      "it was missed, though it never came before",
      {
        given: { levels: [], noData: expected },
        before: [[1_000, 0, "h2"]],
        backAt: 1_035,
        story: ["1030 no_data nodata h1", "1035 data_returned nodata h1"],
      },
    ],
  ])("%s has both, whichever series' record comes first", (_what, { given, before, backAt, story }) => {
    const back: Records[number] = [backAt, 99, "h1"];
    const other: Records[number] = [backAt + 9, 0, "h2"];
    const others = Array.from({ length: (backAt - 1_005) / 10 }, (_, i): Records[number] => [1_001 + i * 10, 0, "h2"]);
    for (const pair of [
      [back, other],
      [other, back],
    ]) {
      const world = new DetectionWorld(strategy({ resendSeconds: 86_400, ...given }));
      for (const record of [...before, ...others, ...pair]) world.take([record]);
      world.take([], { flush: true });
      expect(world.story().filter((line) => line.endsWith("h1"))).toEqual(story);
    }
  });

  test("its silence needs its full count again, and no point from before it counts", () => {
    const two = { ...level, trigger: { count: 2, window: 9 }, recovery: { count: 1, silenceSeconds: 20 } };
    const world = new DetectionWorld(strategy({ levels: [two] }));
    world.take([...points(1_000, [99, 99]), ...points(1_040, [99, 99])], { flush: true });
    expect(world.story()).toEqual([
      "1010 triggered warning h1",
      "1030 series_silent warning h1",
      "1050 triggered warning h1",
    ]);
  });
});

describe("a series that is forgotten within a batch", () => {
  const noData = { ...NO_DATA, expect: [{ host: "never" }] };
  const lateness1 = { intervalSeconds: 1, latenessSeconds: 1 };
  test.each<[string, Parameters<typeof strategy>[0], [number, number, string][]]>([
    [
      "is new when an old record of it comes again",
      lateness1,
      [
        [1_000, 0, "h1"],
        [1_000, 0, "h2"],
        [2_799, 0, "h1"],
        [2_801, 0, "h2"],
        [4_580, 0, "h1"],
        [4_602, 0, "h1"],
        [1_000, 0, "h2"],
      ],
    ],
    [
      "no longer keeps the clock from what is left",
      lateness1,
      [
        [1_000, 0, "h2"],
        [1_001, 0, "h1"],
        [2_801, 0, "h1"],
        [4_602, 0, "h1"],
      ],
    ],
    [
      "is as one that is expected and never came, for the clock",
      { noData },
      [
        [1_000, 0, "h1"],
        [9_000, 0, "h1"],
      ],
    ],
  ])("%s", (_what, given, records) => {
    const [atOnce, oneByOne] = [new DetectionWorld(strategy(given)), new DetectionWorld(strategy(given))];
    atOnce.take(records);
    for (const record of records) oneByOne.take([record]);
    expect(atOnce.story()).toEqual(oneByOne.story());
    expect(encodeGroupState(atOnce.state)).toEqual(encodeGroupState(oneByOne.state));
  });
});

describe("a window", () => {
  test.each([
    [60, 60],
    [61, 60],
    [63, 60],
  ])("of a sampler that comes every %d s instead of every %d s is full all the same", (spacing, intervalSeconds) => {
    const world = new DetectionWorld(strategy({ intervalSeconds, levels: [hour], resendSeconds: 86_400 }));
    world.take(
      Array.from({ length: 70 }, (_, i): [number, number] => [6_000 + i * spacing, 100]),
      { flush: true },
    );
    expect(world.story()).toEqual([`${6_000 + 59 * spacing} triggered warning h1`]);
  });

  test("of a sampler that misses one sample is not", () => {
    const level = { ...hour, trigger: { count: 5, window: 5 } };
    const world = new DetectionWorld(strategy({ intervalSeconds: 60, levels: [level] }));
    world.take(
      [0, 60, 120, 240, 300, 360].map((at): [number, number] => [6_000 + at, 100]),
      { flush: true },
    );
    expect(world.story()).toEqual([]);
  });

  test("that is no longer met so many points in a row ends the alert, though a point is anomalous now and then", () => {
    const level = { ...hour, trigger: { count: 2, window: 5 } };
    const world = new DetectionWorld(strategy({ levels: [level], resendSeconds: 86_400 }));
    world.take(points(1_000, [99, 99, 0, 0, 0, 0, 99, 0, 0, 0, 0, 99, 0, 0, 0, 0, 99, 0, 0, 0]), { flush: true });
    expect(world.story()).toEqual(["1010 triggered warning h1", "1090 recovered warning h1"]);
  });

  test("whose data do not come at the interval is reported once", () => {
    const world = new DetectionWorld(strategy());
    world.take(Array.from({ length: 40 }, (_, i): [number, number] => [6_000 + i * 60, 0]));
    expect(world.steps.flatMap(({ auditEvents }) => auditEvents)).toMatchObject([
      { kind: "spacing", spacingSeconds: 60, intervalSeconds: 10 },
    ]);
  });
});

describe("recovery", () => {
  test("with a limit of its own waits for it", () => {
    const level = { ...hour, ...once, when: parseCondition("> 1000") };
    const recovery = { count: 1, when: parseCondition("< 900") };
    const world = new DetectionWorld(strategy({ levels: [{ ...level, recovery }], resendSeconds: 86_400 }));
    world.take(points(1_000, [980, 1_010, 990, 1_020, 980, 950, 899, 990]), { flush: true });
    expect(world.story()).toEqual(["1010 triggered warning h1", "1060 recovered warning h1"]);
  });
});
