/** What a program gives to stop, to go on, and to silence. */
import { BecalmError } from "../../model/errors.ts";
import { TIMESTAMP_AT_MS_MAX } from "../../model/limits.ts";
import type { SilenceRequest, StoredSilence } from "../silences/stored-silences.ts";
import { ANYTHING, type Expected, oneOf, TEXT, validateOptions, wholeNumber } from "../validate-options.ts";
import type { PauseRequest, ResumeRequest } from "./pause-service.ts";

const PAUSE: Readonly<Record<keyof PauseRequest, Expected>> = { by: TEXT, why: TEXT, policy: TEXT };
const RESUME: Readonly<Record<keyof ResumeRequest, Expected>> = { ...PAUSE, held: oneOf(["keep", "decide", "deny"]) };
const SILENCE: Readonly<Record<keyof SilenceRequest, Expected>> = {
  match: ANYTHING,
  fromMs: wholeNumber(0, TIMESTAMP_AT_MS_MAX),
  toMs: wholeNumber(1, TIMESTAMP_AT_MS_MAX),
  by: TEXT,
  why: TEXT,
};

const STORED_SILENCE: Readonly<Record<keyof StoredSilence, Expected>> = {
  id: TEXT,
  match: { what: "a list of matchers: { name, operator, value }", holds: areMatchers },
  fromMs: wholeNumber(0, TIMESTAMP_AT_MS_MAX),
  toMs: wholeNumber(0, TIMESTAMP_AT_MS_MAX),
  author: ANYTHING,
  comment: ANYTHING,
  updatedAtMs: wholeNumber(0, TIMESTAMP_AT_MS_MAX),
};

function areMatchers(value: unknown): boolean {
  const texts = ["name", "operator", "value"];
  const isMatcher = (one: Record<string, unknown> | null) => texts.every((key) => typeof one?.[key] === "string");
  return Array.isArray(value) && value.length > 0 && value.every(isMatcher);
}

export function validatePause(request: PauseRequest): void {
  validateWho("engine.pause", request, PAUSE);
}

export function validateResume(request: ResumeRequest): void {
  validateWho("engine.resume", request, RESUME);
}

export function validateSilence(request: SilenceRequest): void {
  validateWho("engine.silence", request, SILENCE);
}

/** What is stored is read by every process of the namespace. */
export function validateStoredSilence(silence: StoredSilence): void {
  validateOptions("engine.saveSilence", silence, STORED_SILENCE);
  for (const name of ["id", "match", "fromMs", "toMs", "author", "comment"] as const) {
    if (silence[name] !== undefined) continue;
    throw new BecalmError("BECALM_ARGUMENT_INVALID", `engine.saveSilence needs \`${name}\`: give a whole silence.`);
  }
}

/** Both go into the audit. */
function validateWho(
  call: string,
  request: { readonly by: string; readonly why: string },
  options: Readonly<Record<string, Expected>>,
): void {
  validateOptions(call, request, options);
  for (const name of ["by", "why"] as const) {
    if (typeof request[name] === "string" && request[name].trim() !== "") continue;
    const what = name === "by" ? "who acts" : "the reason";
    throw new BecalmError("BECALM_ARGUMENT_INVALID", `${call} needs \`${name}\`: ${what}. It goes into the audit.`);
  }
}
