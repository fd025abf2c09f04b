/** The rules in force, and what a pasted candidate would have done instead. */
import type { VNode } from "preact";
import type { Action, Policy } from "../api.ts";
import { useData } from "../data.ts";
import { html } from "../html.ts";
import { Failure, Loading } from "../parts.ts";
import { hrefOf, type Place } from "../route.ts";
import { type Say, useWords } from "../words.ts";
import { actionText } from "./answer.ts";
import { CandidateView } from "./candidate.ts";

export function PoliciesView({ place }: { place: Place }): VNode {
  const say = useWords();
  const asked = place.query.get("show");
  const { value, error } = useData<{ policies: readonly Policy[] }>("/v1/policies");
  const { value: one, error: oneError } = useData<Policy>(
    asked === null ? null : `/v1/policies/${encodeURIComponent(asked)}`,
    { isFixed: true },
  );
  return html`<section aria-labelledby="policies">
    <h1 id="policies">${say("policies")}</h1>
    <${Failure} error=${error ?? oneError} />
    ${value === null && error === null && html`<${Loading} />`}
    ${one !== null && html`<section aria-labelledby="one"><h2 id="one">${say("oneVersion")}</h2><ul class="cards"><${PolicyCard} policy=${one} isOpen=${true} /></ul></section>`}
    ${value !== null && html`<section aria-labelledby="in-force"><h2 id="in-force">${say("inForce")}</h2><ul class="cards">${value.policies.map((policy) => html`<${PolicyCard} key=${policy.version} policy=${policy} />`)}</ul></section>`}
    <${CandidateView} />
  </section>` as VNode;
}

function PolicyCard({ policy, isOpen = false }: { policy: Policy; isOpen?: boolean }): VNode {
  const say = useWords();
  const match = (policy["match"] ?? []) as readonly string[];
  return html`<li class="card policy">
    <h3>${policy.name}</h3>
    <dl>
      <dt>${say("matches")}</dt><dd>${match.length === 0 ? say("everyAlert") : match.map((one) => html`<code class="wrap">${one}</code> `)}</dd>
      <dt>${say("rule")}</dt><dd>${ruleText(policy, say)}</dd>
      <dt>${say("action")}</dt><dd><code class="wrap">${actionText(policy["action"] as Action)}</code></dd>
      <dt>${say("version")}</dt><dd><code>${policy.version}</code></dd>
    </dl>
    <p><a href=${hrefOf(["instances"], { policy: policy.name })}>${say("itsInstances")}</a></p>
    <details open=${isOpen}><summary>${say("wholePolicy")}</summary><pre tabindex="0">${JSON.stringify(policy, null, 2)}</pre></details>
  </li>` as VNode;
}

type Rule = {
  readonly function?: string;
  readonly count?: number;
  readonly by?: readonly string[];
  readonly windowMs?: number;
};

const UNITS = [
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
] as const;

/** In the words of a policy file, which are the same in every language. */
function ruleText({ converge }: Policy, say: Say): VNode | string {
  const rule = converge as Rule | null | undefined;
  if (rule === null || rule === undefined) return say("noRule");
  const [unit, unitMs] = UNITS.find(([, ms]) => (rule.windowMs ?? 0) % ms === 0) ?? ["ms", 1];
  const text = `function: ${rule.function}, by: [${(rule.by ?? []).join(", ")}], count: ${rule.count}, window: ${(rule.windowMs ?? 0) / unitMs}${unit}`;
  return html`<code class="wrap">${text}</code>` as VNode;
}
