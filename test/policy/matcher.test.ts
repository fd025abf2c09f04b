import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BecalmError } from "../../src/model/errors.ts";
import { compileMatchers, type Matcher, parseMatchers } from "../../src/policy/matcher.ts";
import { ownMs } from "../support/own-time.ts";

function matches(text: string, labels: Record<string, string>): boolean {
  return compileMatchers(parseMatchers(text))(labels);
}

function errorOf(text: string): BecalmError {
  try {
    parseMatchers(text);
  } catch (error) {
    if (error instanceof BecalmError) return error;
    throw error;
  }
  throw new Error(`${text} was taken`);
}

function spelled({ name, operator, value }: Matcher): string {
  return `${quoted(name)}${operator}${quoted(value)}`;
}

function quoted(text: string): string {
  return `"${text.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n")}"`;
}

describe("the syntax of matchers", () => {
  test.each<[string, Matcher]>([
    ['severity="critical"', { name: "severity", operator: "=", value: "critical" }],
    ["severity=critical", { name: "severity", operator: "=", value: "critical" }],
    ['  severity  !=  "info"  ', { name: "severity", operator: "!=", value: "info" }],
    ['a=~"b|c"', { name: "a", operator: "=~", value: "b|c" }],
    ["a!~b.*", { name: "a", operator: "!~", value: "b.*" }],
    ['a=""', { name: "a", operator: "=", value: "" }],
    ['{a="b"}', { name: "a", operator: "=", value: "b" }],
    ['"my label"="b"', { name: "my label", operator: "=", value: "b" }],
    ['a="\\"\\\\\\n"', { name: "a", operator: "=", value: '"\\\n' }],
    ['a=~"10\\.0\\.0\\.1"', { name: "a", operator: "=~", value: "10\\.0\\.0\\.1" }],
    ['a="{},=~ \'"', { name: "a", operator: "=", value: "{},=~ '" }],
    ["区域=华东", { name: "区域", operator: "=", value: "华东" }],
  ])("%s is one matcher", (text, matcher) => {
    expect(parseMatchers(text)).toEqual([matcher]);
  });

  test.each([
    ['a="b",c=~"d"', 2],
    ['{ a="b" , c=~"d" , }', 2],
    ['a="b",', 1],
    ["{}", 0],
    ["", 0],
    ["{ }", 0],
  ])("%s is a list of %d", (text, count) => {
    expect(parseMatchers(text)).toHaveLength(count);
  });

  test.each([
    ["a", 1],
    ["a=", 2],
    ['="b"', 0],
    ['a="b', 4],
    ['a="b" c="d"', 6],
    ['{a="b"', 6],
    ['a="b"}', 5],
    ['{a="b"} x', 8],
    ["a==b", 2],
    ["a=b c", 4],
    [",", 0],
    ['""="x"', 2],
    ['a=~"("', 3],
  ])("%s is refused at offset %d", (text, offset) => {
    expect(errorOf(text)).toMatchObject({ code: "BECALM_ARGUMENT_INVALID", details: { offset } });
  });

  test("is read back from quoted names and values, whatever they are", () => {
    const character = fc.constantFrom(..."\\\"\n\t n'`{}!=~,a_0é磁\u{1f600}");
    const matcher = fc.record({
      name: fc.string({ unit: character, minLength: 1, maxLength: 8 }),
      operator: fc.constantFrom("=" as const, "!=" as const),
      value: fc.string({ unit: character, maxLength: 8 }),
    });
    fc.assert(
      fc.property(fc.array(matcher, { maxLength: 4 }), (list) => {
        expect(parseMatchers(`{${list.map(spelled).join(",")}}`)).toEqual(list);
      }),
      { numRuns: 300 },
    );
  });
});

describe("escapes mean what they mean to Alertmanager", () => {
  test.each<[string, string, string]>([
    // Its older parser reads the list: all names are classic ones.
    ['a="x\\ty"', "a", "x\\ty"],
    ["a=~10\\.0", "a", "10\\.0"],
    ['a="x\ny"', "a", "x\ny"],
    ['a="\\\\d"', "a", "\\d"],
    // Its UTF-8 parser reads it: what is quoted is a string of Go.
    ['"a"="x\\ty"', "a", "x\ty"],
    ['"a.b"=~"10\\\\.0"', "a.b", "10\\.0"],
    ['"a\\x20b"="\\U0001f642"', "a b", "\u{1f642}"],
    ['"a"="\\xf0\\x9f\\x99\\x82"', "a", "\u{1f642}"],
    ['"a"="\\101\\u00e9\\a\\b\\f\\v\\r"', "a", "A\u00e9\u0007\b\f\v\r"],
    ['région="x\\ty"', "région", "x\ty"],
    ['"\ufeffa"="\\n"', "\ufeffa", "\n"],
  ])("%s", (text, name, value) => {
    expect(parseMatchers(text)).toMatchObject([{ name, value }]);
  });

  test("one name in quotes makes the whole list one of the UTF-8 parser", () => {
    expect(parseMatchers('a="x\\ty"')[0]?.value).toBe("x\\ty");
    expect(parseMatchers('a="x\\ty","b"="c"')[0]?.value).toBe("x\ty");
  });

  test.each([
    ['"a"=~"10\\.0"', 8],
    ['"a"="\\\'"', 5],
    ['"a"="\\ud800"', 5],
    ['"a"="\\U00110000"', 5],
    ['"a"="\\xf0\\x9f"', 5],
    ['"a"="\\400"', 5],
    ['"a"="x\ny"', 6],
    ['"a\\q"="x"', 2],
    ['"a"=x\\y', 5],
  ])("%j is refused at offset %d", (text, offset) => {
    expect(errorOf(text)).toMatchObject({ details: { offset } });
  });

  test("an escape that is none says how to write the backslash", () => {
    expect(errorOf('"a.b"=~"10\\.0"').message).toContain("write \\\\.");
  });

  test("a quote that is not closed is told where it was opened", () => {
    expect(errorOf('a="b",c="d').message).toContain("character 9");
  });
});

describe("what matchers match", () => {
  test("all of them must hold, and none at all hold for everything", () => {
    expect(matches('a="1",b="2"', { a: "1", b: "2" })).toBe(true);
    expect(matches('a="1",b="2"', { a: "1", b: "3" })).toBe(false);
    expect(matches("", {})).toBe(true);
  });

  test("a missing label is the empty text, also one that every object inherits", () => {
    expect(matches('team=""', {})).toBe(true);
    expect(matches('team!="x"', {})).toBe(true);
    expect(matches('team=~".+"', {})).toBe(false);
    expect(matches('constructor=""', {})).toBe(true);
  });

  test("a regular expression must match the whole value, each alternative of it", () => {
    expect(matches('a=~"Disk"', { a: "DiskFull" })).toBe(false);
    expect(matches('a=~"Disk|Full"', { a: "DiskFull" })).toBe(false);
    expect(matches('a=~"DiskFull|DiskAlmostFull"', { a: "DiskFull" })).toBe(true);
    expect(matches('a!~"DiskFull|DiskAlmostFull"', { a: "DiskFull" })).toBe(false);
  });
});

describe("regular expressions mean what they mean to Alertmanager", () => {
  test.each([
    ["(?i)disk.*", "DISKFULL", true],
    ["disk.*", "DISKFULL", false],
    [".*", "a\nb", false],
    ["(?s).*", "a\nb", true],
    ["(?is)A.*", "a\nb", true],
    [".", "\r", true],
    ["\\s", "\u00a0", false],
    ["\\S", "\u00a0", true],
    ["[\\S]", "\u00a0", true],
    ["[\\S]", "\t", false],
    ["[^\\s]", "\u000b", true],
    ["(?P<host>web)-\\d+", "web-12", true],
    ["(?<host>web)-\\d+", "web-12", true],
    ["(?:a|b)c", "bc", true],
    ["\\Qa.b*\\E", "a.b*", true],
    ["\\Qa.b\\E", "axb", false],
    ["[[:alpha:]_]+", "ab_c", true],
    ["[[:digit:]]", "a", false],
    ["[]a]+", "a]", true],
    ["[^]a]", "b", true],
    ["[a-z-]+", "a-b", true],
    ["\\pL+", "磁盘", true],
    ["\\p{Han}+", "磁盘", true],
    ["\\P{Han}+", "磁盘", false],
    ["\\p{^Han}+", "disk", true],
    ["\\x41\\x{1F600}", "A\u{1f600}", true],
    ["a{2,3}", "aa", true],
    ["a{", "a{", true],
    ["a{,2}", "a{,2}", true],
    ["a}", "a}", true],
    ["a]", "a]", true],
    ["10\\.0\\-1\\/\\:\\_", "10.0-1/:_", true],
    ["\\Aab\\z", "ab", true],
    ["\\bab\\b", "ab", true],
    ["", "", true],
    [".", "\u{1f600}", true],
    ["a(?i)b", "aB", true],
    ["a(?i)b", "AB", false],
    ["(?i:a)b", "Ab", true],
    ["(?i:a)b", "AB", false],
    ["(?m)^a$\\n^b$", "a\nb", true],
    ["(?U)a+", "aaa", true],
    ["(?-s).", "\n", false],
    ["a$", "a\n", false],
    ["[^\\n]*", "a\nb", false],
  ])("%j on %j: %s", (value, text, expected) => {
    expect(compileMatchers([{ name: "a", operator: "=~", value }])({ a: text })).toBe(expected);
  });

  test.each([
    ["(", /missing closing \)/],
    ["[a", /missing closing \]/],
    ["a**", /invalid nested repetition operator: `\*\*` at its character 2/],
    ["*", /missing argument to repetition operator/],
    ["a\\", /trailing backslash/],
    ["b\\y", /invalid escape sequence: `\\y` at its character 2/],
    ["(?=a)", /no look-around/],
    ["(?!a)", /no look-around/],
    ["(?<=a)b", /no look-around/],
    ["(?<!a)b", /no look-around/],
    ["(a)\\1", /no back-references/],
    ["a)", /unexpected \)/],
    ["a\\C", /invalid escape sequence/],
    ["(?P<n>a)(?P<n>b)", /duplicate capture group name/],
    ["a{1001}", /1000/],
    ["((a{100}){100}){100}", /1000/],
    ["a\\p{Nothing}", /invalid character class range: `\\p{Nothing}` at its character 2/],
    ["[[:nothing:]]", /\[:nothing:\]/],
  ])("%j is refused, saying why", (value, why) => {
    expect(() => compileMatchers([{ name: "a", operator: "=~", value }])).toThrow(why);
  });

  test.each([
    ["([a-z]+-?)+[0-9]", "a".repeat(30)],
    [".*(error|err|e.*r).*fatal", "err".repeat(1_366)],
    ["(x+x+)+y", "x".repeat(16_384)],
    ["(.*)(.*)(.*)(.*)(.*)[^a]", "a".repeat(16_384)],
  ])("%s answers within 50 ms, however the value is made", async (value, text) => {
    const tookMs = await ownMs(() => {
      const test = compileMatchers([{ name: "a", operator: "=~", value }]);
      expect(test({ a: text })).toBe(false);
    });
    expect(tookMs).toBeLessThan(50);
  });

  test("an answer is the same when it is asked for again, and when many others were asked for meanwhile", () => {
    const test = compileMatchers([{ name: "a", operator: "=~", value: "[0-9]*[02468]" }]);
    for (let round = 0; round < 2; round += 1)
      for (let number = 0; number < 600; number += 1) expect(test({ a: `${number}` })).toBe(number % 2 === 0);
  });

  test("an escaped text matches itself and nothing else", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.string({ unit: "grapheme" }), (text, other) => {
        const escaped = text.replace(/[!-/:-@[-`{-~]/g, "\\$&");
        const test = compileMatchers([{ name: "a", operator: "=~", value: escaped }]);
        expect(test({ a: text })).toBe(true);
        expect(test({ a: other })).toBe(text === other);
      }),
    );
  });
});
