import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import { compareCodePoints } from "../../src/model/utf8.ts";

type CapturedAlert = { labels: Record<string, string>; fingerprint: string };

const storm = readFileSync(new URL("../data/prometheus-storm/webhook-v4.jsonl", import.meta.url), "utf8");
const captured = storm
  .trim()
  .split("\n")
  .flatMap((line) => (JSON.parse(line) as { body: { alerts: CapturedAlert[] } }).body.alerts);

/** One to four bytes of UTF-8, and the edges between; drawn from a list because arbitrary code points are slow to make. */
const CHARACTERS = fc.constantFrom(
  ..."aZ~\0\x7f\x80éÿ\u07ff\u0800磁\ud7ff\ue000\uff01\uffff\u{10000}\u{1f600}\u{10ffff}",
);

/** The definition, word for word, slow. */
function slowFingerprint(labels: Record<string, string>): string {
  const encoded = Object.entries(labels).map(([name, value]) => [Buffer.from(name), Buffer.from(value)] as const);
  encoded.sort(([a], [b]) => Buffer.compare(a, b));
  let hash = 0xcbf29ce484222325n;
  for (const [name, value] of encoded) {
    for (const byte of [...name, 0xff, ...value, 0xff])
      hash = BigInt.asUintN(64, (hash ^ BigInt(byte)) * 0x100000001b3n);
  }
  return hash.toString(16).padStart(16, "0");
}

describe("the fingerprint of a label set", () => {
  test("equals the one that a real Alertmanager gave, for every captured alert", () => {
    expect(captured.length).toBe(836);
    const differing = captured.filter(({ labels, fingerprint }) => fingerprintOf(labels) !== fingerprint);
    expect(differing).toEqual([]);
  });

  test("equals FNV-1a 64 computed with big integers, for any well-formed text", () => {
    const text = fc.string({ unit: CHARACTERS, maxLength: 8 });
    fc.assert(
      fc.property(fc.dictionary(text, text, { maxKeys: 6 }), (labels) => {
        expect(fingerprintOf(labels)).toBe(slowFingerprint(labels));
      }),
      { numRuns: 200 },
    );
  });

  test("does not depend on the order of the labels", () => {
    expect(fingerprintOf({ a: "1", b: "2" })).toBe(fingerprintOf({ b: "2", a: "1" }));
  });

  test("orders names by their bytes, where UTF-16 order differs", () => {
    const labels = { "\u{1f600}": "emoji", "\uff01": "wide" };
    expect(fingerprintOf(labels)).toBe(slowFingerprint(labels));
    expect(compareCodePoints("\uff01", "\u{1f600}")).toBeLessThan(0);
    expect(["\uff01", "\u{1f600}"].toSorted()[0]).toBe("\u{1f600}");
  });

  test("counts half a surrogate pair as U+FFFD, so that writing and reading it back changes nothing", () => {
    expect(fingerprintOf({ a: "\ud800" })).toBe(fingerprintOf({ a: "\ufffd" }));
  });
});
