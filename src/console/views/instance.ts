/** One instance: its chart with the way it took, its past step by step, and why. */
import type { VNode } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { getText, type InstanceDetail, type Step } from "../api.ts";
import { useData } from "../data.ts";
import { html } from "../html.ts";
import { Failure, InstanceLink, LabelList, Loading, StateBadge, When } from "../parts.ts";
import { hrefOf, type Place, replacePlace } from "../route.ts";
import { useWords } from "../words.ts";
import { Answer } from "./answer.ts";

type Steps = { readonly steps: readonly Step[] };

export function InstanceView({ id, place }: { id: string; place: Place }): VNode {
  const base = `/v1/instances/${encodeURIComponent(id)}`;
  const { value: instance, error } = useData<InstanceDetail>(base);
  const { value: past, error: pastError } = useData<Steps>(`${base}/steps`);
  if (instance === null)
    return html`${error === null ? html`<${Loading} />` : html`<${Failure} error=${error} />`}` as VNode;
  if (instance.quarantined) return html`<div class="failure" role="alert"><p>${instance.error}</p></div>` as VNode;
  const steps = past?.steps ?? [];
  const asked = Number(place.query.get("at") ?? steps.length);
  const at = Math.min(Math.max(Number.isInteger(asked) ? asked : steps.length, 1), Math.max(steps.length, 1));
  return html`<section aria-labelledby="instance" class="instance">
    <${Head} instance=${instance} />
    <${Failure} error=${pastError} />
    ${steps.length > 0 && html`<${Past} id=${id} steps=${steps} at=${at} />`}
    <${Facts} instance=${instance} />
  </section>` as VNode;
}

function Head({ instance }: { instance: InstanceDetail }): VNode {
  const say = useWords();
  return html`<header class="head">
    <h1 id="instance"><${StateBadge} state=${instance.state} /> ${instance.policy}</h1>
    <p class="why">${say.of(instance.sentence)}</p>
    <p><${LabelList} alert=${instance.alert} /></p>
    ${instance.state === "Waiting" && html`<${Answer} instance=${instance} />`}
  </header>` as VNode;
}

/** The slider and everything that follows it. */
function Past({ id, steps, at }: { id: string; steps: readonly Step[]; at: number }): VNode {
  const say = useWords();
  const step = steps[at - 1] as Step;
  const before = at > 1 ? (steps[at - 2] as Step) : null;
  const go = (to: number) => replacePlace(hrefOf(["instances", id], to === steps.length ? {} : { at: String(to) }));
  return html`<div class="past">
    <label class="slider"><span>${say("step")} <b>${at}</b> ${say("of")} ${steps.length}</span>
      <input type="range" min="1" max=${steps.length} value=${at} disabled=${steps.length === 1}
        aria-valuetext=${`${at}: ${say.of(step.sentence)}`} onInput=${(event: Event) => go(Number((event.target as HTMLInputElement).value))} />
    </label>
    <${Chart} id=${id} at=${at} label=${`${step.path.join(" > ")}`} />
    <ol class="steps">
      ${steps.map(
        (one, index) => html`<li class=${index + 1 === at ? "current" : ""}>
        <button type="button" aria-current=${index + 1 === at ? "step" : undefined} onClick=${() => go(index + 1)}>
          <span class="path">${one.path.join(" › ")}</span> <${When} at=${one.at} />
        </button>
        <p>${say.of(one.sentence)}</p>
      </li>`,
      )}
    </ol>
    <${StepDetail} step=${step} before=${before} />
  </div>` as VNode;
}

/** An image cannot send a token, so the drawing is fetched and shown from memory. */
function Chart({ id, at, label }: { id: string; at: number; label: string }): VNode {
  const [url, setUrl] = useState<string | null>(null);
  useEffect(() => {
    let isGone = false;
    let made: string | null = null;
    getText(`/v1/instances/${encodeURIComponent(id)}/drawing.svg?at=${at}`).then(
      (svg) => {
        if (isGone) return;
        made = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
        setUrl(made);
      },
      () => setUrl(null),
    );
    return () => {
      isGone = true;
      // The next picture replaces this one before it is freed.
      if (made !== null) setTimeout(() => URL.revokeObjectURL(made as string), 1_000);
    };
  }, [id, at]);
  return html`<div class="chart">${url !== null && html`<img src=${url} alt=${label} />`}</div>` as VNode;
}

type Values = Readonly<Record<string, unknown>>;

function StepDetail({ step, before }: { step: Step; before: Step | null }): VNode {
  const say = useWords();
  const changed = useMemo(() => changesBetween(before, step), [before, step]);
  const result = step.event["result"] ?? step.event["error"];
  return html`<div class="detail">
    ${step.counterfactual !== null && html`<p><b>${say("otherwise")}</b> ${say.of(step.counterfactual.sentence)}</p>`}
    ${step.peers.length > 0 && html`<p><b>${say("peers")}</b> ${step.peers.map((peer) => html`<${InstanceLink} id=${peer} /> `)}</p>`}
    ${result !== undefined && html`<p><b>${say("target")}</b> <code class="wrap">${typeof result === "string" ? result : JSON.stringify(result)}</code></p>`}
    <table class="plain changes"><caption>${say("changes")}</caption><tbody>
      ${changed.map(({ name, was, now }) => html`<tr><th scope="row">${name}</th><td><del>${was}</del></td><td><ins>${now}</ins></td></tr>`)}
    </tbody></table>
    <details><summary>${say("raw")}</summary><pre tabindex="0">${JSON.stringify(step, null, 2)}</pre></details>
  </div>` as VNode;
}

function changesBetween(before: Step | null, after: Step): { name: string; was: string; now: string }[] {
  const was = flat(before === null ? {} : { state: before.snapshot.state, ...before.snapshot.context });
  const now = flat({ state: after.snapshot.state, ...after.snapshot.context });
  const names = [...new Set([...Object.keys(was), ...Object.keys(now)])].filter((name) => name !== "policy");
  return names
    .map((name) => ({ name, was: textOf(was[name]), now: textOf(now[name]) }))
    .filter((one) => one.was !== one.now);
}

function flat({ policy: _policy, ...context }: Values): Values {
  return context;
}

function textOf(value: unknown): string {
  if (value === undefined || value === null) return "-";
  return typeof value === "string" ? value : JSON.stringify(value);
}

function Facts({ instance }: { instance: InstanceDetail }): VNode {
  const say = useWords();
  const { id, group, timers, attempts, annotations, policy, policyVersion, alert } = instance;
  return html`<dl class="facts">
    <dt>ID</dt><dd><code>${id}</code></dd>
    <dt>${say("policy")}</dt><dd><a href=${hrefOf(["policies"], { show: `${policy}@${policyVersion}` })}>${policy}@${policyVersion}</a></dd>
    ${group !== null && html`<dt>${say("group")}</dt><dd><a href=${hrefOf(["instances"], { group })}><code>${group}</code></a></dd>`}
    <dt>${say("attempts")}</dt><dd>${attempts}</dd>
    ${alert !== null && html`<dt>${say("alert")}</dt><dd><code>${alert.fingerprint}</code> <${When} at=${alert.startsAt} /></dd>`}
    ${Object.entries(annotations).map(([name, value]) => html`<dt>${name}</dt><dd class="wrap">${value}</dd>`)}
    ${timers.length > 0 && html`<dt>${say("timers")}</dt><dd>${timers.map((timer) => html`${timer.name}: <${When} at=${timer.dueAt} /> `)}</dd>`}
    <dt>${say("exportHint")}</dt><dd><code>becalm export ${id} --out ${id}.bundle</code></dd>
    <dt>Stately</dt><dd>${say("stately")}</dd>
  </dl>` as VNode;
}
