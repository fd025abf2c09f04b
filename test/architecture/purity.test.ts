import { describe, expect, test } from "vitest";
import { lineOf, sourceFiles } from "./source-files.ts";

/** Whatever gives another answer, or does something else, when the same decision is made again. */
const IMPURE = [
  /\bDate\.now\b/,
  /\bnew Date\(\s*\)/,
  /\bMath\.random\b/,
  /\brandom(?:UUID|Bytes|Int)\b/,
  /\bcrypto\.getRandomValues\b/,
  /\bperformance\.\w+/,
  /\bprocess\.\w+/,
  /\bset(?:Timeout|Interval|Immediate)\b/,
  /\bqueueMicrotask\b/,
  /\bconsole\.\w+/,
  /\bfetch\(/,
  /\bawait\b/,
];

const PURE = [
  "machines",
  "src/model",
  "src/policy",
  "src/convergence",
  "src/instance",
  "src/detection/core",
  "src/detection/records",
  "src/formats",
];

const CLOCK_READS = /\bDate\.now\b|\bnew Date\(\s*\)|\bMath\.random\b/;
const VAGUE_NAMES = /(?:^|[/.-])(?:utils?|helpers?|common|misc)(?:[/.-]|$)/;

function occurrences(pattern: RegExp, folders: readonly string[]): string[] {
  return sourceFiles(...folders).flatMap((file) =>
    [...file.code.matchAll(new RegExp(pattern, "g"))].map(
      (match) => `${file.path}:${lineOf(file.code, match.index)} ${match[0]}`,
    ),
  );
}

describe("the pure part", () => {
  test.each(IMPURE)("holds no %s", (pattern) => {
    expect(occurrences(pattern, PURE)).toEqual([]);
  });
});

describe("time and chance", () => {
  test("enter the runtime and the replay through their ports only", () => {
    expect(occurrences(CLOCK_READS, ["src/runtime", "src/simulate", "src/detection"])).toEqual([]);
  });
});

describe("names", () => {
  test("no file is named for holding whatever is left over", () => {
    const paths = sourceFiles("src", "machines", "test").map((file) => file.path);
    expect(paths.filter((path) => VAGUE_NAMES.test(path))).toEqual([]);
  });
});
