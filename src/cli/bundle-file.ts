/** Reads a bundle's instances, in the order of the file. */
import type { Policy } from "../policy/policy.ts";
import { type BundledInstance, type BundleHeader, BundleReader } from "../simulate/bundle.ts";
import { readLines } from "./read-text.ts";

/** One instance's whole history in characters: longer than any that an engine makes. */
const LINE_CHARS_MAX = 256 * 1_024 * 1_024;

export type BundleItem = {
  readonly header: BundleHeader;
  readonly instance: BundledInstance;
  /** Every version that stood before the instance, by `name@version`, and its text. */
  readonly policies: ReadonlyMap<string, Policy>;
  readonly policyTexts: ReadonlyMap<string, string>;
};

/** @throws BECALM_BUNDLE_BROKEN at the first line that does not hold, behind the instances before it */
export async function* readBundle(file: string): AsyncGenerator<BundleItem> {
  const reader = new BundleReader(file === "-" ? "stdin" : file);
  const policies = new Map<string, Policy>();
  const policyTexts = new Map<string, string>();
  let header: BundleHeader | null = null;
  for await (const { text } of readLines(file, undefined, LINE_CHARS_MAX)) {
    const entry = reader.read(text);
    if (entry.type === "header") header = entry.header;
    if (entry.type === "policy") {
      policies.set(entry.policy.policy, JSON.parse(entry.policy.value) as Policy);
      policyTexts.set(entry.policy.policy, entry.policy.value);
    }
    if (entry.type === "instance" && header !== null) yield { header, instance: entry.instance, policies, policyTexts };
  }
  reader.end();
}
