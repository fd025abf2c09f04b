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

/** A variable of a whole module, or a table that it fills. */
const MODULE_STATE = /^(?:export )?(?:let (\w+)|const (\w+)(?:: [^=]+)? = new (?:Weak)?(?:Map|Set)(?:<[^(]*>)?\(\))/gm;

/** What was computed last, or for whom, kept so that a storm computes it once: the answer is the same without. */
const REMEMBERED = [
  "src/convergence/dimension-key.ts KNOWN",
  "src/convergence/forming.ts asked",
  "src/convergence/group-codec.ts PIECES",
  "src/formats/alert-fields.ts lastTime",
  "src/instance/open-index.ts PLACES",
  "src/instance/step-memo.ts TAKEN",
  "src/instance/step.ts INITIAL",
  "src/model/episode-codec.ts last",
  "src/model/fingerprint.ts high",
  "src/model/fingerprint.ts low",
  "src/model/ids.ts lastStored",
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

  test("keeps nothing from one call to the next, but what it remembers of equal questions", () => {
    const found = sourceFiles(...PURE).flatMap(({ path, code }) =>
      [...code.matchAll(MODULE_STATE)].map(([, variable, table]) => `${path} ${variable ?? table}`),
    );
    expect(found.sort()).toEqual(REMEMBERED);
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
