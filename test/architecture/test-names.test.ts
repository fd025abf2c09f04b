import { describe, expect, test } from "vitest";
import { sourceFiles } from "./source-files.ts";

const OPENING = /^( *)(describe|test|it)(?:\.\w+)*(?:\(.*\)|<.*>)?\(\s*(["'`])(.+?)\3/;
const NEXT_LINE_NAME = /^( *)(describe|test|it)(?:\.\w+)*(?:\(.*\))?\($/;

type Named = { readonly indent: number; readonly kind: string; readonly name: string };

/** A formatted file's tests, by their names and those of the groups around them (found by indentation). */
function testNames(text: string): string[] {
  const groups: Named[] = [];
  const names: string[] = [];
  const lines = text.split("\n");
  for (const [index, line] of lines.entries()) {
    const opened = openedBy(line, lines[index + 1] ?? "");
    if (opened === null) continue;
    while ((groups.at(-1)?.indent ?? -1) >= opened.indent) groups.pop();
    if (opened.kind === "describe") groups.push(opened);
    else names.push([...groups, opened].map((group) => group.name).join(" > "));
  }
  return names;
}

function openedBy(line: string, nextLine: string): Named | null {
  const match = OPENING.exec(NEXT_LINE_NAME.test(line) ? line + nextLine.trim() : line);
  if (match === null) return null;
  return { indent: (match[1] as string).length, kind: match[2] as string, name: match[4] as string };
}

describe("test names", () => {
  test("no two tests of a file carry the same name in the same group", () => {
    const repeated = sourceFiles("test").flatMap(({ path, text }) => {
      const names = testNames(text);
      return names.filter((name, index) => names.indexOf(name) !== index).map((name) => `${path}: ${name}`);
    });
    expect(repeated).toEqual([]);
  });

  test("no test is left alone or left out without a condition", () => {
    const pattern = /\b(?:describe|test|it)\.(?:only|skip|todo)\b/;
    const found = sourceFiles("test").filter(
      ({ path, code }) => !path.endsWith("test-names.test.ts") && pattern.test(code),
    );
    expect(found.map(({ path }) => path)).toEqual([]);
  });
});
