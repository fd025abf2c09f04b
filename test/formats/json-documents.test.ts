import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { beginsDocument, jsonDocuments } from "../../src/formats/json-documents.ts";

describe("values one after the other", () => {
  test("are found again, each at its line, however they are printed and whatever is between them", () => {
    const indent = fc.constantFrom(0, 1, 2);
    const gap = fc.constantFrom("", "\n", "\n\n", " \r\n\t");
    const value = fc.oneof(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()));
    fc.assert(
      fc.property(fc.array(fc.tuple(value, indent, gap), { minLength: 1 }), (parts) => {
        const texts = parts.map(([one, spaces]) => JSON.stringify(one, null, spaces));
        const text = parts.map(([, , between], at) => `${between}${texts[at]}`).join("");
        const documents = jsonDocuments(text, 7);
        expect(documents.map((document) => document.text.trim())).toEqual(texts);
        let from = 0;
        for (const document of documents) {
          const at = text.indexOf(document.text, from);
          // The usual case keeps the white space in front of a single value.
          if (documents.length > 1) expect(document.line).toBe(6 + text.slice(0, at).split("\n").length);
          from = at + document.text.length;
        }
      }),
    );
  });

  test("what is broken comes last, from where it begins", () => {
    expect(jsonDocuments('{\n "a": 1\n}\n{\n "b": ]\n}\n{}', 1)).toEqual([
      { line: 1, text: '{\n "a": 1\n}', isWhole: true },
      { line: 4, text: '{\n "b": ]\n}\n{}', isWhole: false },
    ]);
  });
});

test.each([
  ["{", true],
  ["  [", true],
  ['{ "alerts": [', true],
  ['{"a":"x', true],
  ["{}", false],
  ['{"a":1}', false],
  ["{ nonsense", false],
  ["time,value", false],
  ["", false],
])("%j begins a value that goes on: %s", (line, expected) => {
  expect(beginsDocument(line)).toBe(expected);
});
