import { LineCounter, parseAllDocuments } from "yaml";
import { BecalmError } from "../core/errors.ts";
import { POLICY_FILE_BYTES_MAX, POLICY_MISTAKE_COUNT_MAX } from "../core/limits.ts";
import type { Policy, PolicySet, Silence } from "../core/policy.ts";
import { exceedsUtf8Bytes } from "../core/utf8.ts";
import { MistakeReport, type PolicyMistake } from "./field-reader.ts";
import { type Located, locatePlain, locateYaml, UnreadableValue } from "./located-value.ts";
import { readPolicySet } from "./policy-reader.ts";

export type { PolicyMistake } from "./field-reader.ts";

/** `policySet` holds what could be read; it is the file's meaning only if there are no mistakes. */
export type ParsedPolicies = { readonly policySet: PolicySet; readonly mistakes: readonly PolicyMistake[] };

const EMPTY: PolicySet = { policies: [], silences: [] };

/** Reads a policy file, YAML or JSON, and lists all its mistakes with line, column and path. Never throws. */
export function parsePolicies(text: string, { file }: { file: string }): ParsedPolicies {
  const report = new MistakeReport(file);
  const root = readYaml(text, report);
  return finish(root, report);
}

/** Reads a policy file. Throws BECALM_POLICY_INVALID whose message and `details.mistakes` list all mistakes. */
export function loadPolicySet(text: string, { file }: { file: string }): PolicySet {
  return orThrow(parsePolicies(text, { file }), file);
}

/** What a program may give: an object of the file's form, a bare list of its policies, or a set that was parsed before. */
export type PolicyInput =
  | PolicySet
  | readonly unknown[]
  | { readonly policies: readonly unknown[]; readonly silences?: readonly unknown[] };

/** The policy set of a program's plain objects. Throws BECALM_POLICY_INVALID whose message lists all mistakes. */
export function policySetFrom(input: PolicyInput): PolicySet {
  const file = "policies";
  const parsed = asPolicySet(input);
  if (parsed !== null) return parsed;
  const report = new MistakeReport(file);
  const root = guarded(report, () => locatePlain(Array.isArray(input) ? { policies: input } : input));
  return orThrow(finish(root, report), file);
}

/** Policies that were parsed before bear a version, which no file can give them; they are taken as they are. */
function asPolicySet(input: PolicyInput): PolicySet | null {
  const given = (Array.isArray(input) ? { policies: input } : input) as Partial<PolicySet> | null;
  const { policies, silences = [] } = given ?? {};
  if (!Array.isArray(policies) || !Array.isArray(silences) || policies.length + silences.length === 0) return null;
  const isParsed = policies.every(
    (policy: Partial<Policy> | null) => typeof policy?.version === "string" && "onResolved" in policy,
  );
  const areSilencesParsed = silences.every((silence: Partial<Silence> | null) => typeof silence?.fromMs === "number");
  return isParsed && areSilencesParsed ? { policies, silences } : null;
}

function finish(root: Located | undefined, report: MistakeReport): ParsedPolicies {
  const policySet = root === undefined ? EMPTY : readPolicySet(root, report);
  const mistakes = report.mistakes.toSorted(
    (a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0),
  );
  return { policySet, mistakes };
}

function orThrow({ policySet, mistakes }: ParsedPolicies, file: string): PolicySet {
  if (mistakes.length === 0) return policySet;
  const listed = mistakes.slice(0, POLICY_MISTAKE_COUNT_MAX).map(({ message }) => `  ${message}`);
  if (mistakes.length > listed.length) listed.push(`  and ${mistakes.length - listed.length} more`);
  const count = mistakes.length === 1 ? "1 mistake" : `${mistakes.length} mistakes`;
  throw new BecalmError(
    "BECALM_POLICY_INVALID",
    `${file} has ${count}; correct and load it again:\n${listed.join("\n")}`,
    {
      details: { file, mistakes },
    },
  );
}

function readYaml(text: string, report: MistakeReport): Located | undefined {
  const whole = { path: "", place: { line: 1, column: 1 } };
  if (exceedsUtf8Bytes(text, POLICY_FILE_BYTES_MAX)) {
    return report.add(whole, `a file of at most ${POLICY_FILE_BYTES_MAX} bytes`, `${text.length} characters`);
  }
  const lines = new LineCounter();
  const documents = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, version: "1.2" });
  const [document] = documents;
  if (document === undefined || document.contents === null) {
    return report.add(whole, "a map with the keys policies, silences", "an empty file");
  }
  for (const { errors, warnings } of documents) {
    for (const { pos, message } of [...errors, ...warnings]) {
      const { line, col } = lines.linePos(pos[0]);
      report.add({ path: "", place: { line, column: col } }, "YAML or JSON", message);
    }
  }
  if (documents.length > 1) return report.add(whole, "one document", `${documents.length}, separated by ---`);
  return document.errors.length > 0 ? undefined : guarded(report, () => locateYaml(document, lines));
}

function guarded(report: MistakeReport, locate: () => Located): Located | undefined {
  try {
    return locate();
  } catch (error) {
    if (!(error instanceof UnreadableValue)) throw error;
    return report.add({ path: "", place: error.place }, "values within the limits", error.message);
  }
}
