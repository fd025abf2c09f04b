/** The rules in force, and what a pasted candidate would have done instead. */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type Policy, type Refused, send } from "../api.ts";
import { refused, useData } from "../data.ts";
import { html } from "../html.ts";
import { Failure, Loading } from "../parts.ts";
import type { Place } from "../route.ts";
import { useWords } from "../words.ts";

type Mistake = { readonly line?: number; readonly column?: number; readonly message: string };
type Checked = { readonly mistakes: readonly Mistake[] };

const TYPED_MS = 600;

export function PoliciesView({ place }: { place: Place }): VNode {
  const say = useWords();
  const asked = place.query.get("show");
  const { value, error } = useData<{ policies: readonly Policy[] }>("/v1/policies");
  const { value: one } = useData<Policy>(asked === null ? null : `/v1/policies/${encodeURIComponent(asked)}`);
  const policies = one === null ? (value?.policies ?? []) : [one];
  return html`<section aria-labelledby="policies">
    <h1 id="policies">${say("policies")}</h1>
    <${Failure} error=${error} />
    ${value === null && error === null && html`<${Loading} />`}
    ${policies.map(
      (policy) => html`<details class="card" key=${policy.version} open=${one !== null}>
      <summary><b>${policy.name}</b> <span class="quiet">${say("version")} ${policy.version}</span> <span>${ruleText(policy)}</span></summary>
      <pre tabindex="0">${JSON.stringify(policy, null, 2)}</pre>
    </details>`,
    )}
    <${Candidate} />
  </section>` as VNode;
}

function ruleText({ converge }: Policy): string {
  const rule = converge as { function?: string; count?: number; by?: readonly string[]; windowMs?: number } | null;
  if (rule === null || rule === undefined) return "";
  return `${rule.function} · count ${rule.count} · by ${(rule.by ?? []).join(", ") || "-"} · ${(rule.windowMs ?? 0) / 60_000} min`;
}

function Candidate(): VNode {
  const say = useWords();
  const [text, setText] = useState("");
  const [checked, setChecked] = useState<Checked | null>(null);
  const [error, setError] = useState<Refused | null>(null);
  useEffect(() => {
    setChecked(null);
    setError(null);
    if (text.trim() === "") return;
    let isGone = false;
    const timer = setTimeout(() => {
      send<Checked>("POST", "/v1/candidates", { body: { policies: text } }).then(
        (answer) => !isGone && setChecked(answer),
        (reason: unknown) => !isGone && setError(refused(reason)),
      );
    }, TYPED_MS);
    return () => {
      isGone = true;
      clearTimeout(timer);
    };
  }, [text]);
  return html`<div class="candidate">
    <label>${say("candidate")}
      <textarea rows="10" spellcheck=${false} value=${text} onInput=${(event: Event) => setText((event.target as HTMLTextAreaElement).value)} /></label>
    <${Failure} error=${error} />
    <div role="status">
      ${checked !== null && checked.mistakes.length === 0 && html`<p class="good">${say("candidateOk")}</p>`}
      ${checked !== null && checked.mistakes.length > 0 && html`<ul class="mistakes">${checked.mistakes.map(({ line, column, message }) => html`<li>${line !== undefined && html`<code>${line}:${column ?? 1}</code> `}${message}</li>`)}</ul>`}
    </div>
  </div>` as VNode;
}
