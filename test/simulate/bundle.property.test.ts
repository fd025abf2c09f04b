import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { chainHash } from "../../src/instance/history-lines.ts";
import { BecalmError } from "../../src/model/errors.ts";
import { BundleReader, BundleWriter } from "../../src/simulate/bundle.ts";

function bundleOf(count: number): string {
  const writer = new BundleWriter([]);
  const lines = [writer.header({ namespace: "test", exportedAtMs: 1_795_413_600_000 })];
  lines.push(writer.policy({ policy: "restart@0123456789abcdef", value: '{"name":"restart"}' }));
  for (let index = 0; index < count; index += 1) {
    const id = `00-${String(index).padStart(24, "0")}`;
    const histories = ['{"policy":"restart@0123456789abcdef"}', `{"atMs":${index},"path":"Idle>Skipped"}`];
    lines.push(writer.instance({ id, version: 1, checkpoint: `head {"n":${index}}`, lines: histories }));
  }
  return `${[...lines, writer.end()].join("\n")}\n`;
}

/** The line that the reader finds broken; null: it reads the whole bundle. */
function brokenLine(text: string): number | null {
  const reader = new BundleReader("a bundle");
  try {
    for (const line of text.split("\n").slice(0, -1)) reader.read(line);
    reader.end();
    return null;
  } catch (error) {
    if (!(error instanceof BecalmError) || error.code !== "BECALM_BUNDLE_BROKEN") throw error;
    return (error.details["line"] as number | undefined) ?? 1;
  }
}

describe("a bundle", () => {
  const whole = bundleOf(12);

  test("is read as it was written", () => expect(brokenLine(whole)).toBe(null));

  test("of a later version is read, without the lines and the keys that this one does not know", () => {
    const [header = "", ...lines] = whole.trimEnd().split("\n");
    const contents = [header, ...lines].map((line) => JSON.parse(line.slice(line.indexOf(" ") + 1)) as object);
    const later = [
      { ...contents[0], zone: "eu" },
      { group: "restart:!sha1#1", value: "{}" },
      ...contents.slice(1, -1).map((content) => ({ ...content, seen: true })),
      { totals: { instances: 12 } },
      contents.at(-1) as object,
    ];
    let hash = "";
    const text = later.map((content) => {
      hash = chainHash(hash, JSON.stringify(content));
      return `${hash} ${JSON.stringify(content)}\n`;
    });
    expect(brokenLine(text.join(""))).toBe(null);
  });

  test("with one changed byte anywhere is found broken at the line of that byte", () => {
    fc.assert(
      fc.property(fc.nat(whole.length - 2), fc.integer({ min: 1, max: 127 }), (at, difference) => {
        const byte = String.fromCharCode((whole.charCodeAt(at) + difference) % 128);
        const changed = whole.slice(0, at) + byte + whole.slice(at + 1);
        const line = whole.slice(0, at).split("\n").length;
        expect(brokenLine(changed)).toBe(line);
      }),
      { numRuns: 2_000 },
    );
  });
});
