import { describe, expect, test } from "vitest";
import { REJECTION_CODES } from "../../src/formats/rejection.ts";
import * as limits from "../../src/model/limits.ts";
import { readText } from "./source-files.ts";

const page = readText("docs/inputs.md");

function rowsBelow(heading: string): [string, string][] {
  const section = page.slice(page.indexOf(`## ${heading}`)).split(/\n## /)[0] as string;
  const rows = [...section.matchAll(/^\| (.+?) \| (.+?) \|$/gm)].map((match) => [
    match[1] as string,
    match[2] as string,
  ]);
  return rows.slice(1) as [string, string][];
}

describe("the page of inputs", () => {
  test("lists every code of a rejection, in order, with its meaning", () => {
    const codes = Object.entries(REJECTION_CODES).map(([code, why]) => [`\`${code}\``, why]);
    expect(rowsBelow("Codes of rejections")).toEqual(codes);
  });

  test("gives the limits that hold", () => {
    const kib = (bytes: number) => (bytes % 1_048_576 === 0 ? `${bytes / 1_048_576} MiB` : `${bytes / 1_024} KiB`);
    expect(limits.ANNOTATION_COUNT_MAX).toBe(limits.LABEL_COUNT_MAX);
    expect(limits.GENERATOR_URL_BYTES_MAX).toBe(limits.LABEL_VALUE_BYTES_MAX);
    expect(rowsBelow("Limits").map(([, limit]) => limit)).toEqual([
      kib(limits.REQUEST_LINE_BYTES_MAX),
      limits.ALERT_COUNT_MAX.toLocaleString("en"),
      kib(limits.ALERT_BYTES_MAX),
      `${limits.LABEL_COUNT_MAX} each`,
      kib(limits.LABEL_NAME_BYTES_MAX),
      kib(limits.LABEL_VALUE_BYTES_MAX),
      kib(limits.ANNOTATION_VALUE_BYTES_MAX),
    ]);
  });
});
