import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { RecordFormat } from "../../src/formats/record-format-names.ts";
import { formatOf, readerOf } from "../../src/formats/record-formats.ts";
import type { RecordRow } from "../../src/formats/record-row.ts";

function rowsOf(format: RecordFormat, text: string, { pieceChars = text.length || 1, file = "f" } = {}): RecordRow[] {
  const reader = readerOf(format, { file });
  const rows: RecordRow[] = [];
  for (let i = 0; i < text.length; i += pieceChars) rows.push(...reader.feed(text.slice(i, i + pieceChars)));
  return [...rows, ...reader.end()];
}

const records = (rows: readonly RecordRow[]) => rows.map((row) => ("rejected" in row ? row.reason : row.record));

const PROMETHEUS = JSON.stringify({
  status: "success",
  data: {
    resultType: "matrix",
    result: [
      { metric: { __name__: "up", job: "a" }, values: [[1700781430.781, "1"]] },
      { metric: { __name__: "up", job: "b" }, values: [[1700781430.781, "0"]] },
    ],
  },
});
const VICTORIA = '{"metric":{"__name__":"up","job":"a"},"values":[1,0],"timestamps":[1700781430781,1700781445781]}\n';
const INFLUX = [
  "#group,false,false,true",
  "#datatype,string,long,string",
  "#default,_result,,h9",
  ",result,table,host",
  ",,0,h1",
  ",,0,",
  "",
  "#group,false,false",
  "#default,_result,",
  ",result,other",
  ',,"a,b"',
].join("\r\n");
const SADF =
  "# hostname;interval;timestamp;CPU;%usr\nh;10;2024-02-03 13:20:19 UTC;-1;2.5\nh;-1;2024-02-03 13:21:00 UTC;LINUX-RESTART (2 CPU)\n";
const CLOUDWATCH = JSON.stringify({
  MetricDataResults: [
    { Id: "m1", Label: "CPU", Timestamps: ["2024-01-01T00:05:00+00:00"], Values: [95], StatusCode: "Complete" },
  ],
});
const STATISTICS = JSON.stringify({
  Label: "CPU",
  Datapoints: [{ Timestamp: "2024-01-01T00:05:00Z", Average: 95, Unit: "Percent" }],
});

describe("the form of an input", () => {
  test.each<[RecordFormat, string, string]>([
    ["prometheus", "x.json", PROMETHEUS],
    ["victoriametrics", "-", VICTORIA],
    ["influx-csv", "x.csv", INFLUX],
    ["sadf", "x.csv", SADF],
    ["cloudwatch", "x.json", CLOUDWATCH],
    ["cloudwatch", "x.json", STATISTICS],
    ["telegraf", "x.json", '{"metrics":[{"fields":{}}]}'],
    ["collectd-csv", "h/cpu-0/cpu-idle-2024-01-01", "epoch,value\n"],
    ["csv", "x.csv", "epoch,value\n"],
    ["csv", "-", "time,host\n"],
    ["jsonl", "-", '\ufeff{"time":1}\n{"time":2}\n'],
    ["jsonl", "-", '{"time":1}'],
    ["json", "-", '{\n  "time": 1\n}\n'],
    ["json", "-", ' [ {"time":1} ]'],
    ["jsonl", "x.jsonl", "[1]"],
    ["jsonl", "x.ndjson.gz", "{\n"],
  ])("is recognised: %s", (format, path, text) => {
    expect(formatOf(path, text)).toBe(format);
  });
});

describe("records in the containers of monitoring systems", () => {
  test("Prometheus: the labels, time and value of each point", () => {
    expect(records(rowsOf("prometheus", PROMETHEUS, { pieceChars: 7 }))).toEqual([
      { __name__: "up", job: "a", time: 1700781430.781, value: "1" },
      { __name__: "up", job: "b", time: 1700781430.781, value: "0" },
    ]);
    const vector = {
      status: "success",
      data: { resultType: "vector", result: [{ metric: { job: "a" }, value: [5, "1"] }] },
    };
    expect(records(rowsOf("prometheus", JSON.stringify(vector)))).toEqual([{ job: "a", time: 5, value: "1" }]);
  });

  test("VictoriaMetrics: the points of a series a line", () => {
    expect(records(rowsOf("victoriametrics", `${VICTORIA}${VICTORIA}{"metric":1}`))).toEqual([
      ...Array.from({ length: 2 }, () => [
        { __name__: "up", job: "a", time: 1700781430.781, value: 1 },
        { __name__: "up", job: "a", time: 1700781445.781, value: 0 },
      ]).flat(),
      "record_not_an_object",
    ]);
  });

  test("InfluxDB: tables with their annotations, defaults filled in", () => {
    expect(records(rowsOf("influx-csv", INFLUX, { pieceChars: 3 }))).toEqual([
      { result: "_result", table: "0", host: "h1" },
      { result: "_result", table: "0", host: "h9" },
      { result: "_result", other: "a,b" },
    ]);
  });

  test("sadf -d: the line of a restart has no value", () => {
    expect(records(rowsOf("sadf", SADF))).toEqual([
      { hostname: "h", interval: "10", timestamp: "2024-02-03 13:20:19 UTC", CPU: "-1", "%usr": "2.5" },
      { hostname: "h", interval: "-1", timestamp: "2024-02-03 13:21:00 UTC", CPU: "LINUX-RESTART (2 CPU)" },
    ]);
    expect(() => rowsOf("sadf", "a;b\n")).toThrow(/begins with "# hostname/);
  });

  test("CloudWatch: metric data and statistics", () => {
    const point = { Label: "CPU", time: "2024-01-01T00:05:00+00:00", value: 95 };
    expect(records(rowsOf("cloudwatch", CLOUDWATCH))).toEqual([{ Id: "m1", ...point }]);
    expect(records(rowsOf("cloudwatch", STATISTICS))).toMatchObject([
      { Label: "CPU", time: "2024-01-01T00:05:00Z", value: 95 },
    ]);
  });

  test("Telegraf: a metric a record, alone or in a batch", () => {
    const metric = { fields: { a: 1 }, name: "cpu", tags: { host: "h" }, timestamp: 5 };
    expect(records(rowsOf("telegraf", JSON.stringify({ metrics: [metric, metric] })))).toEqual([metric, metric]);
    expect(records(rowsOf("telegraf", JSON.stringify(metric)))).toEqual([metric]);
  });

  test("collectd: host, plugin and type come from the path", () => {
    const file = "/var/lib/collectd/csv/db7/cpu-0/cpu-idle-2024-01-01";
    expect(records(rowsOf("collectd-csv", "epoch,value\n1700000000.123,97.5\n", { file }))).toEqual([
      {
        host: "db7",
        plugin: "cpu",
        plugin_instance: "0",
        type: "cpu",
        type_instance: "idle",
        epoch: "1700000000.123",
        time: "1700000000.123",
        value: "97.5",
      },
    ]);
  });

  test.each<[RecordFormat, string, RegExp]>([
    ["prometheus", '{"status":"error","error":"x"}', /is another JSON document; expected a Prometheus answer/],
    ["prometheus", "{", /is not one JSON document/],
    ["cloudwatch", "[]", /expected a CloudWatch answer/],
  ])("%s that is something else is refused as a whole", (format, text, message) => {
    expect(() => rowsOf(format, text)).toThrow(message);
  });
});

describe("JSON that is no line a record", () => {
  test.each([
    ['[{"a":1},{"a":2}]', [1, 1]],
    ['[\n  {"a":1},\n  {"a":[{"b":"]}"}]}\n]', [2, 3]],
    ['{\n "a": "}\\"{"\n}\n{"a":2}', [1, 4]],
    ['{"a":1}{"a":2}', [1, 1]],
    ["[]", []],
    ["", []],
  ])("%j is read value by value, each with its line, in whatever pieces", (text, lines) => {
    for (let pieceChars = 1; pieceChars <= Math.max(text.length, 1); pieceChars += 1)
      expect(rowsOf("json", text, { pieceChars }).map(({ line }) => line)).toEqual(lines);
  });

  test("gives back every list of values that was written, pretty or not", () => {
    const value = fc.dictionary(fc.string(), fc.jsonValue());
    fc.assert(
      fc.property(
        fc.array(value),
        fc.constantFrom(0, 2),
        fc.integer({ min: 1, max: 9 }),
        (list, indent, pieceChars) => {
          const whole = JSON.stringify(list, null, indent);
          const lone = list.map((one) => JSON.stringify(one, null, indent)).join("\n");
          const expected = JSON.parse(JSON.stringify(list));
          expect(records(rowsOf("json", whole, { pieceChars }))).toEqual(expected);
          expect(records(rowsOf("json", lone, { pieceChars }))).toEqual(expected);
        },
      ),
    );
  });

  test("what is not a record, or not closed, is rejected and the next one read", () => {
    expect(records(rowsOf("json", '[1, "x", [2], {"a":1}, null]'))).toEqual([
      "record_not_an_object",
      "record_not_an_object",
      "record_not_an_object",
      { a: 1 },
      "record_not_an_object",
    ]);
    expect(records(rowsOf("json", '{"a":1} {"a":'))).toEqual([{ a: 1 }, "json_invalid"]);
    expect(records(rowsOf("json", `[{"a":"${"x".repeat(70_000)}"},{"a":1}]`))).toEqual(["row_too_long", { a: 1 }]);
  });
});
