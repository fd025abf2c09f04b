/**
 * A policy file in which some settings of one policy's rule have other values: the text of the file, edited in place.
 */
import { type Document, isMap, isNode, isSeq, parseDocument, type YAMLMap } from "yaml";
import { loadPolicySet, parsePolicies } from "../formats/policy-file.ts";
import { formatDuration } from "../model/duration.ts";
import type { Policy, PolicySet } from "../policy/policy.ts";
import { type Combination, isSameValue, type Varied, type VariedValue } from "../simulate/tune-grid.ts";
import { unknownPolicy } from "./assumptions.ts";
import { usedWrongly } from "./exit-codes.ts";

export type VariedPolicies = { readonly policies: PolicySet } | { readonly invalid: string };

type Edit = { readonly from: number; readonly to: number; readonly text: string };

export class PolicyFile {
  readonly policies: PolicySet;
  readonly #text: string;
  readonly #file: string;
  readonly #policy: Policy;

  /** @throws if the file is invalid, the policy is unknown or has no rule */
  constructor(text: string, { file, policy: name }: { file: string; policy: string }) {
    this.#text = text;
    this.#file = file;
    this.policies = loadPolicySet(text, { file });
    const policy = this.policies.policies.find((candidate) => candidate.name === name);
    const names = this.policies.policies.map((candidate) => candidate.name);
    if (policy === undefined) throw usedWrongly(`--policy: in ${file} ${unknownPolicy(name, names)}`);
    if (policy.converge === null)
      throw usedWrongly(
        `Policy "${name}" of ${file} has no \`converge\`: every alert runs, and there is nothing to vary.`,
      );
    this.#policy = policy;
  }

  /** The values that the rule has now of the settings that are varied. */
  inForce(settings: readonly Varied[]): Combination {
    return new Map(settings.map((setting) => [setting, this.#value(setting)]));
  }

  /** The file as it would be: the values are replaced where they stand, and nothing else changes. */
  textWith(combination: Combination): string {
    const rule = this.#rule(parseDocument(this.#text));
    const edits: Edit[] = [];
    for (const [setting, value] of combination) {
      if (isSameValue(value, this.#value(setting))) continue;
      const text = typeof value === "object" ? `[${value.map(nameText).join(", ")}]` : String(value);
      const range = nodeRange(rule.get(setting, true));
      if (range !== null) edits.push({ ...range, text });
      else edits.push(this.#added(rule, `${setting}: ${text}`));
    }
    return edits
      .toSorted((a, b) => b.from - a.from)
      .reduce((text, edit) => text.slice(0, edit.from) + edit.text + text.slice(edit.to), this.#text);
  }

  /**
   * The policies of that file, or the first mistake that the combination makes in it: a window above `max_window`, for
   * example.
   */
  with(combination: Combination): VariedPolicies {
    const { policySet, mistakes } = parsePolicies(this.textWith(combination), { file: this.#file });
    const [mistake] = mistakes;
    return mistake === undefined ? { policies: policySet } : { invalid: mistake.message };
  }

  #value(setting: Varied): VariedValue {
    const rule = this.#policy.converge;
    if (rule === null) return [];
    if (setting === "count") return rule.count;
    return setting === "window" ? formatDuration(rule.windowMs) : (rule.by ?? []);
  }

  /** Before the rule's first key, in the way in which its keys are written. */
  #added(rule: YAMLMap, line: string): Edit {
    const first = nodeRange(rule.items[0]?.key);
    const from = first?.from ?? 0;
    const indent = from - (this.#text.lastIndexOf("\n", from) + 1);
    return { from, to: from, text: rule.flow === true ? `${line}, ` : `${line}\n${" ".repeat(indent)}` };
  }

  #rule(document: Document): YAMLMap {
    const policies = document.get("policies");
    const items = isSeq(policies) ? policies.items : [];
    const own = items.find((item) => isMap(item) && item.get("name") === this.#policy.name);
    const rule = isMap(own) ? own.get("converge") : undefined;
    if (isMap(rule)) return rule;
    throw usedWrongly(
      `The rule of "${this.#policy.name}" is an alias or a merge in ${this.#file}, which cannot be edited. Write it out in the policy.`,
    );
  }
}

function nodeRange(node: unknown): { readonly from: number; readonly to: number } | null {
  if (!isNode(node) || node.range == null) return null;
  const [from, to] = node.range;
  if (!isSeq(node) || node.flow === true) return { from, to };
  // That of a list of lines ends where the next key begins.
  return { from, to: nodeRange(node.items.at(-1))?.to ?? to };
}

/** Plain where YAML reads it as text, too. */
function nameText(name: string): string {
  return /^[a-z_]{3,}$/i.test(name) && !/^(true|false|null|yes|off)$/i.test(name) ? name : JSON.stringify(name);
}
