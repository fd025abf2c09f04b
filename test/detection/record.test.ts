import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cleanEvent, createRecordParser, parseRecord } from "../../src/detection/records/record.ts";
import { md5Of } from "../../src/detection/records/record-identity.ts";
import type { RecordQuery, Rejection, StateEvent, TimeFormat } from "../../src/detection/records/record-types.ts";
import { roundHalfEven } from "../../src/detection/records/rounding.ts";
import { toBaseUnit, type Unit, unitOf } from "../../src/detection/records/units.ts";
import { ownMs } from "../support/own-time.ts";

const TIME = 1_569_246_480;
const QUERY: RecordQuery = {
  dimensions: ["bk_target_ip", "bk_target_cloud_id"],
  metrics: [{ field: "load5", alias: "a" }],
  timeFields: ["timestamp"],
  precision: 2,
};
const RAW = { bk_target_ip: "127.0.0.1", bk_target_cloud_id: "0", load5: 1.38, _result_: 1.38, _time_: TIME };

function parsed(query: Partial<RecordQuery>, raw: unknown): StateEvent {
  const outcome = parseRecord({ ...QUERY, ...query }, raw);
  expect(outcome).not.toHaveProperty("rejected");
  return outcome as StateEvent;
}

function refused(query: Partial<RecordQuery>, raw: unknown): Rejection {
  const outcome = parseRecord({ ...QUERY, ...query }, raw);
  expect(outcome).toMatchObject({ rejected: true });
  return outcome as Rejection;
}

describe("the identity of a record", () => {
  // Made with Python's hashlib by the rules that docs/strategies.md states.
  test.each([
    ["node-1", "d50164b9587cab73e417e5ce616bea4e"],
    ["", "d41d8cd98f00b204e9800998ecf8427e"],
    ["中文", "a7bac2239fcdcb3a067903d8077c4a07"],
    [true, "f827cf462f62848df37c5e1e94a4da74"],
    [null, "6adf97f83acf6453d4a6a4b1070f3754"],
    [0, "cfcd208495d565ef66e7dff9f98764da"],
    [-0, "cfcd208495d565ef66e7dff9f98764da"],
    [-7, "74687a12d3915d3c4d83f1af7b3683d5"],
    [[], "d751713988987e9331980363e24189ce"],
    [["a", "b"], "d776bddcc880f6a8d49b77f60428166a"],
    [["b", "a"], "d776bddcc880f6a8d49b77f60428166a"],
    [{ device: "cpu0", host: "node-1" }, "d8c165ccd0832e3d1e6dd502f37d1d62"],
    [{ ip: "10.0.0.1", cloud: 0, tags: ["x", "y", [1, null]], m: { é: false } }, "00c45f23a223f70a7dac0e63fe958225"],
  ])("%j hashes as in the system that the ids are compared with", (value, md5) => {
    expect(md5Of(value)).toBe(md5);
  });

  test("is the md5 of its dimensions and its time", () => {
    const raw = { host: "node-1", device: "cpu0", _result_: 1, _time_: TIME };
    expect(parsed({ dimensions: ["device", "host"] }, raw).recordId).toBe(`d8c165ccd0832e3d1e6dd502f37d1d62.${TIME}`);
  });

  test("a dimension that the query names and the record lacks is null", () => {
    const event = parsed({ dimensions: ["host"] }, { _result_: 1, _time_: TIME });
    expect(event.dimensions).toEqual({ host: null });
    expect(event.recordId).toBe(`${md5Of({ host: null })}.${TIME}`);
  });

  test("a parser that remembers hashes gives the same ids as one that does not", () => {
    const values = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.string()));
    const parse = createRecordParser({ ...QUERY, dimensions: ["x", "xy"] });
    fc.assert(
      fc.property(fc.record({ x: values, xy: values }), (dimensions) => {
        const event = parse({ ...dimensions, _time_: TIME }) as StateEvent;
        expect(event.recordId).toBe(`${md5Of(dimensions)}.${TIME}`);
      }),
      // Names and values run into the same letters.
      { examples: [[{ x: "ya", xy: "a" }], [{ x: "1", xy: "2xy3" }], [{ x: "1xy2", xy: "3" }]] },
    );
  });
});

describe("a state event", () => {
  test("carries value, values, dimensions, time and when it was processed", () => {
    expect(parseRecord(QUERY, RAW, { accessTimeMs: 1_569_246_490_250 })).toEqual({
      recordId: `${md5Of({ bk_target_ip: "127.0.0.1", bk_target_cloud_id: "0" })}.${TIME}`,
      dimensionsMd5: md5Of({ bk_target_ip: "127.0.0.1", bk_target_cloud_id: "0" }),
      value: 1.38,
      values: { load5: 1.38, timestamp: TIME },
      dimensions: { bk_target_ip: "127.0.0.1", bk_target_cloud_id: "0" },
      dimensionFields: ["bk_target_ip", "bk_target_cloud_id"],
      time: TIME,
      accessTime: 1_569_246_490.25,
    });
  });

  test("has the standard's field names when it is cleaned", () => {
    const clean = cleanEvent(parsed({}, RAW));
    expect(Object.keys(clean)).toEqual([
      "record_id",
      "value",
      "values",
      "dimensions",
      "dimension_fields",
      "time",
      "access_time",
    ]);
    expect(clean).toMatchObject({ value: 1.38, time: TIME, access_time: null });
  });

  test("takes _time_ before time, and time when _time_ is missing or null", () => {
    expect(parsed({}, { ...RAW, time: 5 }).time).toBe(TIME);
    expect(parsed({}, { ...RAW, _time_: null, time: 5 }).time).toBe(5);
  });

  test("takes the metric's own field for a real-time query, whatever _result_ says", () => {
    const metrics = [{ field: "load5", method: "real_time" }];
    expect(parsed({ metrics }, { ...RAW, _result_: 9 }).value).toBe(1.38);
  });

  test("keeps an absent value null, while it is 0 in values", () => {
    const event = parsed({}, { _time_: TIME, load5: null });
    expect(event.value).toBeNull();
    expect(event.values).toEqual({ load5: 0, timestamp: TIME });
  });

  test("lists a metric under its alias if the record has it, else under its field", () => {
    expect(parsed({}, { ...RAW, a: "7" }).values).toEqual({ a: 7, timestamp: TIME });
    expect(parsed({}, { ...RAW, a: null }).values).toEqual({ load5: 1.38, timestamp: TIME });
  });

  test("has every ordinary field as a dimension when the query names none", () => {
    const raw = { ...RAW, bk_task_index_1: 1, extra: [1] };
    expect(parsed({ dimensions: null }, raw).dimensionFields).toEqual([
      "bk_target_ip",
      "bk_target_cloud_id",
      "load5",
      "extra",
    ]);
    expect(parsed({ dimensions: [] }, raw).dimensions).toEqual({});
  });

  test.each([
    ["12.346", 12.35],
    [" 1e3 ", 1000],
    [true, 1],
    [false, 0],
    [-0, 0],
    ["-0", 0],
  ])("reads the value %j as %j", (raw, value) => {
    expect(parsed({}, { ...RAW, _result_: raw }).value).toBe(value);
  });

  test.each([null, "", "null", "N/A", "-", " ", "NaN", "nan", Number.NaN])("has no value for %j", (raw) => {
    expect(parsed({}, { ...RAW, _result_: raw }).value).toBeNull();
  });

  test("has no value for the texts that the query names, and only for them", () => {
    expect(parsed({ noValue: ["none"] }, { ...RAW, _result_: "none" }).value).toBeNull();
    expect(refused({ noValue: ["none"] }, { ...RAW, _result_: "-" }).reason).toBe("value_not_a_number");
  });

  test.each(["Infinity", "+Inf", "inf", Number.POSITIVE_INFINITY])("takes %j for greater than every limit", (raw) => {
    expect(parsed({}, { ...RAW, _result_: raw }).value).toBe(Number.MAX_VALUE);
    expect(parsed({ precision: null }, { ...RAW, _result_: raw }).value).toBe(Number.MAX_VALUE);
  });

  test.each(["true", "false", "True", "FALSE"])("reads the text %j as the boolean", (raw) => {
    expect(parsed({}, { ...RAW, _result_: raw }).value).toBe(raw.toLowerCase() === "true" ? 1 : 0);
  });

  test.each<[unknown, TimeFormat | undefined]>([
    [TIME, undefined],
    [TIME + 0.781, undefined],
    [String(TIME), undefined],
    ["2019-09-23T13:48:00Z", undefined],
    ["2019-09-23T21:48:00+08:00", undefined],
    ["2019-09-23T13:48:00.999999999Z", undefined],
    ["2019-09-23 13:48:00 UTC", undefined],
    ["2019-09-23T13:48:00Z", "rfc3339"],
    [TIME, "unix_s"],
    [TIME * 1_000 + 999, "unix_ms"],
    [`${TIME}999`, "unix_ms"],
    [`${TIME}999999`, "unix_us"],
    [`${TIME}999999999`, "unix_ns"],
    [TIME * 1e9, "unix_ns"],
  ])("reads the time %j (%j) as its second", (raw, timeFormat) => {
    expect(parsed(timeFormat === undefined ? {} : { timeFormat }, { ...RAW, _time_: raw }).time).toBe(TIME);
  });

  test.each<[unknown, TimeFormat, string]>([
    [TIME, "rfc3339", "time_not_a_date"],
    ["2019-09-23T13:48:00Z", "unix_ms", "time_not_a_number"],
    ["2019-09-23T13:48:00Z", "unix_s", "time_not_a_number"],
    [`${TIME}999999`, "unix_ms", "time_out_of_range"],
  ])("refuses the time %j as %s", (raw, timeFormat, reason) => {
    expect(refused({ timeFormat }, { ...RAW, _time_: raw }).reason).toBe(reason);
  });

  test("finds nested fields by their path, and a field that is named so before them", () => {
    const metrics = [{ field: "fields.load", method: "REAL_TIME" }];
    const query = { dimensions: ["tags.host"], metrics, timeField: "t.s" };
    const nested = { t: { s: TIME }, tags: { host: "a" }, fields: { load: 3 } };
    expect(parsed(query, nested)).toMatchObject({ value: 3, time: TIME, dimensions: { "tags.host": "a" } });
    expect(parsed(query, { ...nested, "fields.load": 4 }).value).toBe(4);
    expect(parsed(query, { "t.s": TIME, fields: 7 })).toMatchObject({ value: null, dimensions: { "tags.host": null } });
  });

  test.each([[[1]], [""], ["--"], ["NaN"], [{ a: 1 }]])("keeps a record whose secondary value is %j", (load5) => {
    const event = parsed({}, { ...RAW, load5 });
    expect(event.value).toBe(1.38);
    const isMissing = load5 === "" || load5 === "NaN";
    expect(event.values).toEqual(isMissing ? { load5: 0, timestamp: TIME } : { timestamp: TIME });
    expect(event.unreadable?.map(({ field, reason }) => [field, reason])).toEqual(
      isMissing ? undefined : [["load5", "value_not_a_number"]],
    );
  });

  test("reads fields that are named like parts of every object", () => {
    const raw = JSON.parse(`{ "__proto__": "x", "_time_": ${TIME}, "_result_": 1 }`);
    const event = parsed({ dimensions: ["__proto__", "constructor"], metrics: [{ field: "rejected" }] }, raw);
    expect(Object.entries(event.dimensions)).toEqual([
      ["__proto__", "x"],
      ["constructor", null],
    ]);
  });
});

describe("dynamic process fields", () => {
  const raw = { host: "h", listen: "[]", nonlisten: '["80"]', protocol: "中文", bind_ip: "a中文", _time_: TIME };
  const dimensions = ["host", "listen", "nonlisten", "protocol", "bind_ip"];

  test("are dropped when the query names them and they are texts of at most two characters", () => {
    expect(parsed({ dimensions }, raw).dimensionFields).toEqual(["host", "nonlisten", "bind_ip"]);
    expect(parsed({ dimensions: null }, raw).dimensionFields).toContain("listen");
  });

  test("leave the identity of a process-port metric and stay among its dimensions", () => {
    const event = parsed({ dimensions, metricIds: ["bk_monitor.proc_port"] }, raw);
    expect(event.dimensionFields).toEqual(["host"]);
    expect(event.dimensions).toEqual({ host: "h", nonlisten: '["80"]', bind_ip: "a中文" });
    expect(event.recordId).toBe(`${md5Of({ host: "h" })}.${TIME}`);
  });
});

describe("a record that cannot be read is refused with its reason", () => {
  test.each([
    [null, "record_not_an_object", null],
    [[1], "record_not_an_object", null],
    ["text", "record_not_an_object", null],
    [{ _result_: 1 }, "time_missing", "time"],
    [{ ...RAW, _time_: "yesterday" }, "time_not_a_number", "_time_"],
    [{ ...RAW, _time_: true }, "time_not_a_number", "_time_"],
    [{ ...RAW, _time_: Number.NaN }, "time_not_a_number", "_time_"],
    [{ ...RAW, _time_: TIME * 1000 }, "time_in_ms", "_time_"],
    [{ ...RAW, _time_: String(TIME * 1000) }, "time_in_ms", "_time_"],
    [{ ...RAW, _time_: -1 }, "time_out_of_range", "_time_"],
    [{ ...RAW, _time_: "2019-09-23 12:00:00" }, "time_not_a_number", "_time_"],
    [{ ...RAW, _time_: "2019-02-30T12:00:00Z" }, "time_not_a_date", "_time_"],
    [{ ...RAW, _result_: "busy" }, "value_not_a_number", "_result_"],
    [{ ...RAW, _result_: "1,234" }, "value_not_a_number", "_result_"],
    [{ ...RAW, _result_: "95%" }, "value_not_a_number", "_result_"],
    [{ ...RAW, _result_: "0x5f" }, "value_not_a_number", "_result_"],
    [{ ...RAW, _result_: { toString: 1 } }, "value_not_a_number", "_result_"],
    [{ ...RAW, _result_: "1e999" }, "value_not_finite", "_result_"],
  ])("%j", (raw, reason, field) => {
    expect(refused({}, raw)).toMatchObject({ reason, field });
  });

  test("and names what was found, without repeating all of it", () => {
    expect(refused({}, { ...RAW, _result_: "x".repeat(1_000_000) }).text.length).toBeLessThan(200);
  });

  test.each(["x", ".x", ".5x", "e5x", "e", " x"])("at once, however many digits come before %j", async (end) => {
    const tookMs = await ownMs(() => {
      expect(refused({}, { ...RAW, _result_: "1".repeat(60_000) + end }).reason).toBe("value_not_a_number");
      expect(refused({}, { ...RAW, _result_: ".1".padEnd(60_000, "1") + end }).reason).toBe("value_not_a_number");
    });
    expect(tookMs).toBeLessThan(1_000);
  });

  test("when a dimension nests deeper than a stack goes", () => {
    const raw = JSON.parse(`{"_time_":1,"deep":${"[".repeat(100_000)}${"]".repeat(100_000)}}`);
    expect(refused({ dimensions: null }, raw)).toMatchObject({ reason: "dimension_too_deep", field: "deep" });
  });

  test.each([10n, Number.NaN, Number.NEGATIVE_INFINITY, new Date(0), () => 1, Symbol("x"), [1n], { id: { big: 1n } }])(
    "when a dimension is nothing that JSON has a form for: %s",
    (host) => {
      const raw = { host, _time_: TIME };
      expect(refused({ dimensions: null }, raw)).toMatchObject({ reason: "dimension_not_json", field: "host" });
    },
  );

  test("when a dimension is a number that was rounded into another one", () => {
    const [one, other] = ["9007199254740993", "9007199254740992"];
    const read = (host: string) => JSON.parse(`{"_time_":${TIME},"host":${host}}`);
    const query = { dimensions: ["host"] };
    for (const host of [one, other, `[${one}]`, "1e300"])
      expect(refused(query, read(host))).toMatchObject({ reason: "dimension_not_exact", field: "host" });
    expect(parsed(query, read(`"${one}"`)).recordId).not.toBe(parsed(query, read(`"${other}"`)).recordId);
    expect(parsed(query, read("9007199254740991")).dimensions).toEqual({ host: 9_007_199_254_740_991 });
  });

  test("and never with an exception, whatever the record is", () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true });
    fc.assert(
      fc.property(anything, fc.boolean(), (raw, isNamed) => {
        const outcome = parseRecord({ ...QUERY, dimensions: isNamed ? QUERY.dimensions : null }, raw);
        expect("rejected" in outcome || "recordId" in outcome).toBe(true);
      }),
    );
  });
});

describe("rounding", () => {
  // Python's round() of the same doubles.
  test.each([
    [2.675, 2, 2.67],
    [0.125, 2, 0.12],
    [0.375, 2, 0.38],
    [2.5, 0, 2],
    [3.5, 0, 4],
    [-0.125, 2, -0.12],
    [1e15 + 0.5, 0, 1e15],
    [1.005, 2, 1],
    [5e-324, 2, 0],
    [1 / 3, 15, 0.333333333333333],
    [1e300, 2, 1e300],
  ])("%d to %d decimals is %d", (value, decimals, rounded) => {
    expect(roundHalfEven(value, decimals)).toBe(rounded);
  });

  test("is nearest, ties to even, by exact arithmetic on every double", () => {
    const anyDouble = fc.double({ noNaN: true, noDefaultInfinity: true });
    const nearTie = fc
      .tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 1, max: 20 }))
      .map(([m, e]) => m / 2 ** e);
    const nearDecimalTie = fc
      .tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 9 }))
      .map(([m, d]) => (m + 0.5) / 10 ** d);
    fc.assert(
      fc.property(fc.oneof(anyDouble, nearTie, nearDecimalTie), fc.integer({ min: 0, max: 15 }), (value, decimals) => {
        expect(roundHalfEven(value, decimals)).toBe(slowRound(value, decimals) + 0);
      }),
      { numRuns: 3_000 },
    );
  });
});

/** A double is m / 2^e; with whole numbers of any size nothing is lost. */
function slowRound(value: number, decimals: number): number {
  let denominator = 1n;
  let scaled = value;
  while (!Number.isInteger(scaled)) {
    scaled *= 2;
    denominator *= 2n;
  }
  const numerator = BigInt(Math.abs(scaled)) * 10n ** BigInt(decimals);
  const floor = numerator / denominator;
  const twiceRest = (numerator % denominator) * 2n;
  const isUp = twiceRest > denominator || (twiceRest === denominator && floor % 2n === 1n);
  const magnitude = Number(`${isUp ? floor + 1n : floor}e-${decimals}`);
  return value < 0 ? -magnitude : magnitude;
}

describe("units", () => {
  test.each([
    ["KiB", 1.5, 1536],
    ["MB", 2, 2_000_000],
    ["kB/s", 1, 1000],
    ["Mbit", 1, 1_000_000],
    ["Mbps", 1, 1_000_000],
    ["ratio", 0.5, 50],
    ["ms", 250, 0.25],
    ["min", 2, 120],
  ])("one threshold fits all sources: %s", (name, value, inBaseUnit) => {
    expect(toBaseUnit(value, unitOf(name) as Unit)).toBe(inBaseUnit);
    expect(parsed({ metrics: [{ field: "load5", unit: name }] }, { ...RAW, _result_: value }).value).toBe(inBaseUnit);
  });

  test("a value that its unit makes infinite is refused", () => {
    const metrics = [{ field: "load5", unit: "PiB" }];
    expect(refused({ metrics }, { ...RAW, _result_: 1e300 }).reason).toBe("value_not_finite");
  });

  test.each([{ metrics: [{ field: "a", unit: "furlong" }] }, { metrics: [] }, { precision: 16 }, { precision: 0.5 }])(
    "a query that is wrong in itself is an error, not a rejection: %j",
    (wrong) => {
      expect(() => parseRecord({ ...QUERY, ...wrong }, RAW)).toThrow(
        expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }),
      );
    },
  );

  test("a rate of something that is no amount is no unit", () => {
    expect([unitOf("percent/s"), unitOf("s/s"), unitOf("mb"), unitOf("toString")]).toEqual([
      undefined,
      undefined,
      undefined,
      undefined,
    ]);
  });
});
