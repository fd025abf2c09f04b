import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type CsvOptions, csvReader, ROW_LINES_MAX } from "../../src/formats/csv.ts";
import { type RecordRow, ROW_CHARS_MAX } from "../../src/formats/record-row.ts";

function rowsOf(text: string, options: Partial<CsvOptions> = {}, pieceChars = text.length || 1): RecordRow[] {
  const reader = csvReader({ file: "f.csv", ...options });
  const rows: RecordRow[] = [];
  for (let i = 0; i < text.length; i += pieceChars) rows.push(...reader.feed(text.slice(i, i + pieceChars)));
  return [...rows, ...reader.end()];
}

const brief = (rows: readonly RecordRow[]) =>
  rows.map((row) => ("rejected" in row ? [row.line, row.reason] : [row.line, ...Object.values(row.record)]));

describe("a CSV of records", () => {
  test.each([
    [
      "a,b\n1,2\n3,4\n",
      [
        [2, "1", "2"],
        [3, "3", "4"],
      ],
    ],
    [
      "a,b\r\n1,2\r\n3,4",
      [
        [2, "1", "2"],
        [3, "3", "4"],
      ],
    ],
    ["\ufeffa,b\n1,\n", [[2, "1", ""]]],
    ["a,b\n\n1,2\n\n", [[3, "1", "2"]]],
    ['a,b\n"1,5","say ""hi"""\n', [[2, "1,5", 'say "hi"']]],
    [
      'a,b\n"two\r\nlines",2\n3,4\n',
      [
        [2, "two\r\nlines", "2"],
        [4, "3", "4"],
      ],
    ],
    ['a,b\n"",""\n', [[2, "", ""]]],
    ['a,b\n5" disk,2\n', [[2, '5" disk', "2"]]],
    ['"a","b"\n1,"2"', [[2, "1", "2"]]],
  ])("%j is read as its rows, each with its line", (text, rows) => {
    expect(brief(rowsOf(text))).toEqual(
      rows.map((row) => row.map((cell) => (typeof cell === "string" ? cell.replace("\r\n", "\n") : cell))),
    );
  });

  test.each([
    ["an unnamed column", "a,,b\n1,x,2\n"],
    ["a repeated column", "a,c,c,b\n1,x,y,2\n"],
    ["missing cells behind the last used one", "a,b,c,d\n1,2\n"],
    ["empty cells behind the header", "a,b\n1,2,,\n"],
    ["a byte that is not text", "a,c,b\n1,\u001b[31m\ufffd,2\n"],
    ["blanks around cells", "a , b\n 1,\t2 \n"],
    ["a line that names the delimiter", "sep=;\na;b\n1;2\n"],
  ])("%s rejects nothing that is used", (_what, text) => {
    const [row] = rowsOf(text, { usedFields: ["a", "b"] });
    expect(row).toMatchObject({ record: { a: "1", b: "2" } });
  });

  test("keeps the blanks of a quoted cell", () => {
    expect(brief(rowsOf('a,b\n" x ", y \n'))).toEqual([[2, " x ", "y"]]);
  });

  test("uses the header's names, and any delimiter", () => {
    expect(rowsOf("host;value\nh;1\n", { delimiter: ";" })).toEqual([{ line: 2, record: { host: "h", value: "1" } }]);
  });

  test("is read alike whatever pieces it comes in", () => {
    const text = 'a,b\r\n"x\n,""y",2\r\n3,"4"\r\n"bad"cell,5\r\nshort\r\n,\r\n6,7';
    const whole = rowsOf(text);
    for (let pieceChars = 1; pieceChars < text.length; pieceChars += 1)
      expect(rowsOf(text, {}, pieceChars)).toEqual(whole);
  });

  test("gives back every table that was written", () => {
    const cell = fc.string({ unit: fc.constantFrom("a", ",", '"', "\n", "é", " ", "中") });
    const quoted = (text: string) => (/[",\n ]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    fc.assert(
      fc.property(fc.array(fc.tuple(cell, cell)), fc.integer({ min: 1, max: 9 }), (table, pieceChars) => {
        const text = `a,b\n${table.map((row) => `${row.map(quoted).join(",")}\n`).join("")}`;
        const rows = rowsOf(text, {}, pieceChars);
        expect(rows.map((row) => ("record" in row ? Object.values(row.record) : row))).toEqual(table);
      }),
    );
  });
});

describe("a wrong row is refused and the next one read", () => {
  test.each([
    ["a,b\n1\n3,4\n", "row_short"],
    ["a,b\n1,2,3\n3,4\n", "row_long"],
    ['a,b\n"1"x,2\n3,4\n', "quote_misplaced"],
    ["a,b\n\u0000\u0001,2\n3,4\n", "binary"],
    ["a,b\n\ufffd\ufffd\n3,4\n", "binary"],
    [`a,b\n${"x".repeat(ROW_CHARS_MAX + 1)}\n3,4\n`, "row_too_long"],
  ])("%.20j", (text, reason) => {
    expect(brief(rowsOf(text))).toEqual([
      [2, reason],
      [3, "3", "4"],
    ]);
  });

  test("a quote that is never closed costs a few rows, not the rest of the file", () => {
    const text = `a,b\n"1,2\n${"3,4\n".repeat(ROW_LINES_MAX + 1)}`;
    expect(brief(rowsOf(text))).toEqual([
      [2, "row_too_long"],
      [ROW_LINES_MAX + 2, "3", "4"],
      [ROW_LINES_MAX + 3, "3", "4"],
    ]);
    expect(rowsOf(text)[0]).toMatchObject({
      text: expect.stringContaining(`lines 2 to ${ROW_LINES_MAX + 1} are refused`),
    });
    expect(brief(rowsOf('a,b\n"1,2'))).toEqual([[2, "row_too_long"]]);
  });

  test("whatever the bytes are, there is no exception and no row is told twice", () => {
    const garbage = fc.string({ unit: fc.constantFrom('"', ",", "\n", "\r", "x", "\u0000", "\ufffd") });
    fc.assert(
      fc.property(garbage, fc.integer({ min: 1, max: 5 }), (text, pieceChars) => {
        const rows = rowsOf(`a,b\n${text}`, {}, pieceChars);
        expect(rows).toEqual(rowsOf(`a,b\n${text}`));
        const lines = rows.map(({ line }) => line);
        expect(lines).toEqual([...new Set(lines)].sort((a, b) => a - b));
      }),
    );
  });

  test("keeps at most one row in memory, whatever comes", () => {
    const reader = csvReader({ file: "f.csv" });
    reader.feed("a,b\n");
    const piece = "x".repeat(ROW_CHARS_MAX);
    const rows = Array.from({ length: 100 }, () => reader.feed(piece)).flat();
    expect(brief([...rows, ...reader.feed("\n3,4\n")])).toEqual([
      [2, "row_too_long"],
      [3, "3", "4"],
    ]);
  });
});

describe("a wrong header is an error that says what to do", () => {
  test.each([
    ["", /f\.csv:1: the file is empty/],
    ["\n\n", /is empty/],
    ["a,a\n1,2\n", /has the column "a" twice/],
    ["a,,b\n", /has a column named ""/],
    ["__proto__\n1\n", /has a column named "__proto__"/],
    ['"a\n1,2\n', /does not begin with a header/],
    ["\u0000\u0001\n1,2\n", /does not begin with a header/],
    ['"a"x\n', /text after a closing quote/],
  ])("%j", (text, message) => {
    expect(() => rowsOf(text)).toThrow(expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID" }));
    expect(() => rowsOf(text)).toThrow(message);
  });

  test("that lacks a column names it and what there is", () => {
    const read = () => rowsOf("time,host\n1,h\n", { usedFields: ["time", "value"] });
    expect(read).toThrow(/has no column value \(its header has time, host\)/);
  });

  test.each([
    ["time;host;value\n", /give --delimiter ';'/],
    ["time\thost\tvalue\n", /give --delimiter tab/],
    ["time,host,valeu\n", /did you mean valeu\?/],
    ["# by exporter 1.2\ntime,host,value\n", /remove the lines that begin with #/],
  ])("and says what is probably wrong with %j", (text, message) => {
    expect(() => rowsOf(text, { usedFields: ["time", "host", "value"] })).toThrow(message);
  });
});
