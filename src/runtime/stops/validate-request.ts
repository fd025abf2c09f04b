/** What a program gives to stop, to go on, and to silence. */
import { BecalmError } from "../../model/errors.ts";
import { TIMESTAMP_AT_MS_MAX } from "../../model/limits.ts";
import type { SilenceRequest } from "../silences/stored-silences.ts";
import { type Expected, oneOf, TEXT, validateOptions, wholeNumber } from "../validate-options.ts";
import type { PauseRequest, ResumeRequest } from "./pause-service.ts";

const MATCH: Expected = {
  what: 'matchers: "cluster=core", or a list of such texts',
  holds: (value) => [value].flat().every((one) => typeof one === "string") && [value].flat().length > 0,
};
const PAUSE: Readonly<Record<keyof PauseRequest, Expected>> = { by: TEXT, why: TEXT, policy: TEXT };
const RESUME: Readonly<Record<keyof ResumeRequest, Expected>> = { ...PAUSE, held: oneOf(["keep", "decide", "deny"]) };
const SILENCE: Readonly<Record<keyof SilenceRequest, Expected>> = {
  match: MATCH,
  fromMs: wholeNumber(0, TIMESTAMP_AT_MS_MAX),
  toMs: wholeNumber(1, TIMESTAMP_AT_MS_MAX),
  by: TEXT,
  why: TEXT,
};

export function validatePause(request: PauseRequest): void {
  validateWho("engine.pause", request, PAUSE);
}

export function validateResume(request: ResumeRequest): void {
  validateWho("engine.resume", request, RESUME);
}

export function validateSilence(request: SilenceRequest): void {
  validateWho("engine.silence", request, SILENCE);
  if (request.match === undefined)
    throw new BecalmError("BECALM_ARGUMENT_INVALID", `engine.silence needs \`match\`: ${MATCH.what}.`);
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
