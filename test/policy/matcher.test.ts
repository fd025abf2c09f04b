import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BecalmError } from "../../src/model/errors.ts";
import { compileMatchers, type Matcher, parseMatchers } from "../../src/policy/matcher.ts";

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
  ])("%j on %j: %s", (value, text, expected) => {
    expect(compileMatchers([{ name: "a", operator: "=~", value }])({ a: text })).toBe(expected);
  });

  test.each([
    ["(", /unterminated group/],
    ["[a", /not closed/],
    ["a**", /nothing to repeat/],
    ["*", /nothing to repeat/],
    ["a\\", /ends with a backslash/],
    ["\\y", /no escape/],
    ["(?=a)", /look-around/],
    ["(?!a)", /look-around/],
    ["(?<=a)b", /look-around/],
    ["(?<!a)b", /look-around/],
    ["(a)\\1", /back-reference/],
    ["a(?i)b", /not at the start/],
    ["(?i:a)b", /not at the start/],
    ["(?m)a", /flag m/],
    ["a{1001}", /1000/],
    ["\\p{Nothing}", /invalid property name/],
    ["[[:nothing:]]", /class/],
  ])("%j is refused, saying why", (value, why) => {
    expect(() => compileMatchers([{ name: "a", operator: "=~", value }])).toThrow(why);
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
