/**
 * The slider through an instance's past and everything that follows it: chart, sentence, timers, context, what changed.
 */
import type { VNode } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { getText, type Refused, type Step } from "../api.ts";
import { refused } from "../data.ts";
import { html } from "../html.ts";
import { Distance, Failure, InstanceLink, When } from "../parts.ts";
import { hrefOf, replacePlace } from "../route.ts";
import { type Say, useWords, type Word } from "../words.ts";

type PastProps = {
  readonly id: string;
  readonly steps: readonly Step[];
  readonly at: number;
  readonly group: string | null;
};

export function Past({ id, steps, at, group }: PastProps): VNode {
  const say = useWords();
  const [isWide, setWide] = useState(false);
  const step = steps[at - 1] as Step;
  const before = at > 1 ? (steps[at - 2] as Step) : null;
  const go = (to: number) => replacePlace(hrefOf(["instances", id], to >= steps.length ? {} : { at: String(to) }));
  return html`<section class=${`past ${isWide ? "is-wide" : ""}`} aria-labelledby="past">
    <div class="slider"><h2 id="past">${say("past")}</h2>
      <button type="button" aria-label=${say("back")} disabled=${at <= 1} onClick=${() => go(at - 1)}>‹</button>
      <label><span>${say("step")} <b>${at}</b> ${say("of")} ${steps.length}</span>
        <input type="range" min="1" max=${steps.length} value=${at} disabled=${steps.length === 1}
          aria-valuetext=${`${at}: ${say.of(step.sentence)}`} onInput=${(event: Event) => go(Number((event.target as HTMLInputElement).value))} /></label>
      <button type="button" aria-label=${say("forth")} disabled=${at >= steps.length} onClick=${() => go(at + 1)}>›</button>
      ${at < steps.length && html`<span class="then">${say("inThePast")}: <${When} at=${step.at} /> <button type="button" class="small" onClick=${() => go(steps.length)}>${say("toNow")}</button></span>`}
    </div>
    <div class="chart-box"><${Chart} id=${id} at=${at} label=${step.path.join(" > ")} />
      <button type="button" class="small widen" aria-pressed=${isWide} onClick=${() => setWide(!isWide)}>${say(isWide ? "narrow" : "widen")}</button></div>
    <div class="beside">
      <ol class="steps">
        ${steps.map(
          (one, index) => html`<li class=${index + 1 === at ? "current" : index + 1 > at ? "later" : ""}>
          <button type="button" aria-current=${index + 1 === at ? "step" : undefined} onClick=${() => go(index + 1)}>
            <span class="path">${one.path.map((state) => say.state(state)).join(" › ")}</span> <${When} at=${one.at} />
          </button>
          <p>${say.of(one.sentence)}</p>
        </li>`,
        )}
      </ol>
      <${StepDetail} step=${step} group=${group} isNow=${at === steps.length} />
    </div>
    <${Changes} step=${step} before=${before} />
  </section>` as VNode;
}

/** An image cannot send a token, so the drawing is fetched and shown from memory. */
function Chart({ id, at, label }: { id: string; at: number; label: string }): VNode {
  const say = useWords();
  const [shown, setShown] = useState<{ url: string; label: string } | null>(null);
  const [error, setError] = useState<Refused | null>(null);
  useEffect(() => {
    let isGone = false;
    let made: string | null = null;
    getText(`/v1/instances/${encodeURIComponent(id)}/drawing.svg?at=${at}`).then(
      (svg) => {
        if (isGone) return;
        made = URL.createObjectURL(new Blob([svg], { type: "image/svg+xml" }));
        setShown({ url: made, label });
        setError(null);
      },
      (reason: unknown) => {
        if (isGone) return;
        setShown(null);
        setError(refused(reason));
      },
    );
    return () => {
      isGone = true;
      // The next picture replaces this one before it is freed.
      if (made !== null) setTimeout(() => URL.revokeObjectURL(made as string), 1_000);
    };
  }, [id, at, label]);
  return html`<div class="chart" role="group" tabindex="0" aria-label=${say("chart")}><${Failure} error=${error} />${shown !== null && html`<img src=${shown.url} alt=${shown.label} />`}</div>` as VNode;
}

const TIMERS: Readonly<Record<string, Word>> = {
  approval: "timerApproval",
  retry: "timerRetry",
  wait: "timerWait",
  verify: "timerVerify",
  reconsider: "timerReconsider",
  silence: "timerSilence",
  pause: "timerPause",
};

type Timers = Readonly<Record<string, { readonly dueAtMs: number }>>;

function StepDetail({ step, group, isNow }: { step: Step; group: string | null; isNow: boolean }): VNode {
  const say = useWords();
  const result = step.event["result"] ?? step.event["error"];
  const timers = Object.entries((step.snapshot.context["timers"] ?? {}) as Timers);
  return html`<dl class="detail">
    <dt>${say("timers")}</dt><dd>${timers.length === 0 && html`<span class="quiet">${say("noTimers")}</span>`}${timers.map(([name, { dueAtMs }]) => timerText(say, { name, dueAtMs, isNow }))}</dd>
    ${step.counterfactual !== null && html`<dt>${say("otherwise")}</dt><dd>${say.of(step.counterfactual.sentence)}</dd>`}
    ${step.decidedBy !== null && html`<dt>${say("decidedBy")}</dt><dd><span title=${step.decidedBy.process}>${step.decidedBy.name ?? step.decidedBy.process}</span></dd>`}
    ${result !== undefined && html`<dt>${say("target")}</dt><dd><code class="wrap">${typeof result === "string" ? result : JSON.stringify(result)}</code></dd>`}
    ${step.peers.length > 0 && html`<dt>${say("peers")}</dt><dd>${step.peers.map((peer) => html`<${InstanceLink} id=${peer} /> `)}${group !== null && html`<a href=${hrefOf(["instances"], { group })}>${say("allPeers")}</a>`}</dd>`}
  </dl>` as VNode;
}

type TimerProps = { readonly name: string; readonly dueAtMs: number; readonly isNow: boolean };

/** Of the past it says when, of the present also how soon. What a stop holds has no deadline. */
function timerText(say: Say, { name, dueAtMs, isNow }: TimerProps): VNode {
  const word = TIMERS[name];
  const what = word === undefined ? name : say(word);
  if (name === "pause") return html`<p>${what}</p>` as VNode;
  const at = new Date(dueAtMs).toISOString();
  return html`<p>${what} <b><${When} at=${at} /></b>${isNow && html` (<${Distance} at=${at} />)`}</p>` as VNode;
}

type Values = Readonly<Record<string, unknown>>;

/** What this step made of the checkpoint before it, and all of it. */
function Changes({ step, before }: { step: Step; before: Step | null }): VNode {
  const say = useWords();
  const changed = useMemo(() => changesBetween(before, step), [before, step]);
  const context = { state: step.snapshot.state, ...withoutPolicy(step.snapshot.context) };
  return html`<div class="changes">
    <h3>${say("changes")}</h3>
    ${changed.length === 0 && html`<p class="quiet">${say("nothingChanged")}</p>`}
    ${
      changed.length > 0 &&
      html`<div class="scroll"><table class="plain"><thead><tr><th scope="col">${say("field")}</th><th scope="col">${say("was")}</th><th scope="col">${say("is")}</th></tr></thead><tbody>
      ${changed.map(({ name, was, now }) => html`<tr><th scope="row"><code>${name}</code></th><td><del><code>${was}</code></del></td><td><ins><code>${now}</code></ins></td></tr>`)}
    </tbody></table></div>`
    }
    <details class="context"><summary>${say("context")}</summary><pre tabindex="0">${JSON.stringify(context, null, 2)}</pre></details>
    <details class="raw"><summary>${say("raw")}</summary><pre tabindex="0">${JSON.stringify(step, null, 2)}</pre></details>
  </div>` as VNode;
}

function changesBetween(before: Step | null, after: Step): { name: string; was: string; now: string }[] {
  const was = before === null ? {} : flat({ state: before.snapshot.state, ...withoutPolicy(before.snapshot.context) });
  const now = flat({ state: after.snapshot.state, ...withoutPolicy(after.snapshot.context) });
  return [...new Set([...Object.keys(was), ...Object.keys(now)])]
    .map((name) => ({ name, was: textOf(was[name]), now: textOf(now[name]) }))
    .filter((one) => one.was !== one.now);
}

function withoutPolicy({ policy: _policy, ...context }: Values): Values {
  return context;
}

/** A field a leaf: `timers.approval.dueAtMs`. */
function flat(values: Values, prefix = ""): Values {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) =>
      typeof value === "object" && value !== null && !Array.isArray(value)
        ? Object.entries(flat(value as Values, `${prefix}${name}.`))
        : [[`${prefix}${name}`, value]],
    ),
  );
}

function textOf(value: unknown): string {
  if (value === undefined || value === null || value === "") return "-";
  return typeof value === "string" ? value : JSON.stringify(value);
}
