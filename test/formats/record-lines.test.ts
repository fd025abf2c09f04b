import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { recordLinesReader } from "../../src/formats/record-lines.ts";
import { type RecordRow, ROW_CHARS_MAX } from "../../src/formats/record-row.ts";

function rowsOf(text: string, pieceChars = text.length || 1): RecordRow[] {
  const reader = recordLinesReader();
  const rows: RecordRow[] = [];
  for (let i = 0; i < text.length; i += pieceChars) rows.push(...reader.feed(text.slice(i, i + pieceChars)));
  return [...rows, ...reader.end()];
}

describe("records as JSON lines", () => {
  test("are read with their lines, empty lines skipped and counted", () => {
    const text = '\ufeff{"a":1}\r\n\n  \n{"a":{"b":[null]}}';
    expect(rowsOf(text)).toEqual([
      { line: 1, record: { a: 1 } },
      { line: 4, record: { a: { b: [null] } } },
    ]);
  });

  test("are read alike whatever pieces they come in", () => {
    fc.assert(
      fc.property(
        fc.array(fc.dictionary(fc.string(), fc.jsonValue())),
        fc.integer({ min: 1, max: 7 }),
        (records, pieceChars) => {
          const text = records.map((record) => `${JSON.stringify(record)}\n`).join("");
          const rows = rowsOf(text, pieceChars);
          expect(rows).toEqual(rowsOf(text));
          expect(rows.length).toBe(records.length);
        },
      ),
    );
  });

  test.each([
    ["{", "json_invalid"],
    ['{"a":NaN}', "json_invalid"],
    ["[1]", "record_not_an_object"],
    ["null", "record_not_an_object"],
    ["time,host", "json_invalid"],
    ["\u0000\u0001", "binary"],
    [`{"a":"${"x".repeat(ROW_CHARS_MAX)}"}`, "row_too_long"],
  ])("a wrong one is refused with its line and the next one read: %.20s", (text, reason) => {
    expect(rowsOf(`{"a":1}\n${text}\n{"a":2}\n`)).toMatchObject([
      { line: 1 },
      { line: 2, rejected: true, reason },
      { line: 3, record: { a: 2 } },
    ]);
  });

  test("no input is not a record and no error", () => {
    expect(rowsOf("")).toEqual([]);
  });
});
