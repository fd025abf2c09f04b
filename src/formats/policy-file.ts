import { BecalmError } from "../model/errors.ts";
import type { Policy, PolicySet, Silence } from "../policy/policy.ts";
import { MistakeReport, type PolicyMistake } from "./field-reader.ts";
import type { Located } from "./located-value.ts";
import type { LimitsDocument, PolicyDocument, SilenceDocument } from "./policy-document.ts";
import { readPolicySet } from "./policy-reader.ts";
import {
  type FileName,
  fileNameOf,
  inFileOrder,
  mistakesText,
  readPlainDocument,
  readYamlDocument,
} from "./yaml-document.ts";

export type { PolicyMistake } from "./field-reader.ts";
export type { PolicyDocument, PolicyFileDocument } from "./policy-document.ts";

/** `policySet` holds what could be read; it is the file's meaning only if there are no mistakes. */
export type ParsedPolicies = { readonly policySet: PolicySet; readonly mistakes: readonly PolicyMistake[] };

const NAMED_POLICIES = { file: "policies" };

const EMPTY: PolicySet = { policies: [], silences: [] };

/**
 * Reads a policy file, YAML or JSON, and lists all its mistakes with line, column and path. `file`: its name in
 * messages, default `policies`. Throws nothing, unless `text` is not a text.
 */
export function parsePolicies(text: string, options: FileName = {}): ParsedPolicies {
  const file = fileNameOf("parsePolicies", text, { ...NAMED_POLICIES, ...options });
  const report = new MistakeReport(file);
  return finish(readYamlDocument(text, report, "a map with the keys policies, silences, limits"), report);
}

/** Reads a policy file. Throws BECALM_POLICY_INVALID whose message and `details.mistakes` list all mistakes. */
export function loadPolicySet(text: string, options: FileName = {}): PolicySet {
  const file = fileNameOf("loadPolicySet", text, { ...NAMED_POLICIES, ...options });
  return orThrow(parsePolicies(text, { file }), file);
}

/**
 * What a program may give: an object of the file's form, a bare list of its policies, or a set that was parsed before.
 * A parsed one is named by its marks alone, so that the compiler compares a misspelt policy with the file's keys.
 */
export type PolicyInput = readonly (PolicyDocument | ParsedPolicy)[] | PolicyFileInput;

type PolicyFileInput = {
  readonly policies: readonly (PolicyDocument | ParsedPolicy)[];
  readonly silences?: readonly (SilenceDocument | ParsedSilence)[] | null | undefined;
  readonly limits?: LimitsDocument | ParsedLimits | undefined;
};

type ParsedPolicy = { readonly version: string; readonly onResolved: Policy["onResolved"] };
type ParsedSilence = { readonly fromMs: number; readonly toMs: number };
type ParsedLimits = { readonly perMs: number };

/** The policy set of a program's plain objects. Throws BECALM_POLICY_INVALID whose message lists all mistakes. */
export function policySetFrom(input: PolicyInput, file = "policies"): PolicySet {
  const parsed = asPolicySet(input);
  if (parsed !== null) return parsed;
  const report = new MistakeReport(file);
  const root = readPlainDocument(Array.isArray(input) ? { policies: input } : input, report);
  return orThrow(finish(root, report), file);
}

/** Policies that were parsed before bear a version, which no file can give them; they are taken as they are. */
function asPolicySet(input: PolicyInput): PolicySet | null {
  const given = (Array.isArray(input) ? { policies: input } : input) as Partial<PolicySet> | null;
  const { policies, silences = [], limits } = given ?? {};
  if (!Array.isArray(policies) || !Array.isArray(silences) || policies.length + silences.length === 0) return null;
  const isParsed = policies.every(
    (policy: Partial<Policy> | null) => typeof policy?.version === "string" && "onResolved" in policy,
  );
  const areSilencesParsed = silences.every((silence: Partial<Silence> | null) => typeof silence?.fromMs === "number");
  if (!isParsed || !areSilencesParsed) return null;
  return { policies, silences, ...(limits === undefined ? {} : { limits }) };
}

function finish(root: Located | undefined, report: MistakeReport): ParsedPolicies {
  const policySet = root === undefined ? EMPTY : readPolicySet(root, report);
  return { policySet, mistakes: inFileOrder(report.mistakes) };
}

function orThrow({ policySet, mistakes }: ParsedPolicies, file: string): PolicySet {
  if (mistakes.length === 0) return policySet;
  throw new BecalmError("BECALM_POLICY_INVALID", mistakesText(file, mistakes), { details: { file, mistakes } });
}
