/** What is stored is read by every process of the namespace: it is checked before. */
import { BecalmError } from "../../model/errors.ts";
import { TIMESTAMP_AT_MS_MAX } from "../../model/limits.ts";
import { ANYTHING, type Expected, TEXT, validateOptions, wholeNumber } from "../validate-options.ts";

const REQUIRED = ["id", "match", "fromMs", "toMs", "author", "comment"] as const;
const WHOLE: Readonly<Record<(typeof REQUIRED)[number] | "updatedAtMs", Expected>> = {
  id: TEXT,
  match: { what: "a list of matchers: { name, operator, value }", holds: areMatchers },
  fromMs: wholeNumber(0, TIMESTAMP_AT_MS_MAX),
  toMs: wholeNumber(0, TIMESTAMP_AT_MS_MAX),
  author: ANYTHING,
  comment: ANYTHING,
  updatedAtMs: wholeNumber(0, TIMESTAMP_AT_MS_MAX),
};

/** As a policy file's matchers are read. */
function areMatchers(value: unknown): boolean {
  const texts = ["name", "operator", "value"];
  const isMatcher = (one: Record<string, unknown> | null) => texts.every((key) => typeof one?.[key] === "string");
  return Array.isArray(value) && value.length > 0 && value.every(isMatcher);
}

/** @throws BECALM_ARGUMENT_INVALID */
export function validateStoredSilence(silence: object): void {
  validateOptions("engine.saveSilence", silence, WHOLE);
  const missing = REQUIRED.find((name) => (silence as Record<string, unknown>)[name] === undefined);
  if (missing === undefined) return;
  throw new BecalmError("BECALM_ARGUMENT_INVALID", `engine.saveSilence needs \`${missing}\`: give a whole silence.`);
}
