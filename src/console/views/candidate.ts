/**
 * A candidate policy file: its mistakes as somebody types, and if it has none, what would have gone another way under
 * it.
 */
import type { VNode } from "preact";
import { useEffect, useState } from "preact/hooks";
import { type AlertRow, Refused, send } from "../api.ts";
import { refused, useSession } from "../data.ts";
import { html } from "../html.ts";
import { Failure, InstanceLink, LabelList, StateBadge } from "../parts.ts";
import { useWords, type Word } from "../words.ts";

type Mistake = { readonly line?: number; readonly column?: number; readonly message: string };
type Side = { readonly state: string | null; readonly reason: string | null; readonly attempts: number } | null;
type Change = {
  readonly id: string;
  readonly policy: string;
  readonly alert: AlertRow | null;
  readonly was: Side;
  readonly now: Side;
};
type Totals = {
  readonly executed: number;
  readonly skipped: number;
  readonly waiting: number;
  readonly groups: number;
};
type PolicyTotals = {
  readonly policy: string;
  readonly wasExecuted: number;
  readonly nowExecuted: number;
  readonly newlyExecuted: number;
  readonly newlySkipped: number;
  readonly changed: number;
};
type Difference = {
  readonly summary: {
    readonly instances: number;
    readonly changed: number;
    readonly was: Totals;
    readonly now: Totals;
  };
  readonly policies: readonly PolicyTotals[];
  readonly changes: readonly Change[];
  readonly more: number;
  readonly isCut: boolean;
  readonly leftOut: number;
  readonly unreadable: number;
  readonly refused: number;
};
type Tried = { readonly mistakes: readonly Mistake[] } & Partial<Difference>;

const CHECK_MS = 300;
/** Playing takes the server longer than checking: it waits for a pause in the typing. */
const PLAY_MS = 900;
const BUSY_MS = 3_000;
const HOURS = [1, 3, 6, 24];
const CHANGES_SHOWN_COUNT = 200;

export function CandidateView(): VNode {
  const say = useWords();
  const [text, setText] = useState("");
  const [hours, setHours] = useState(3);
  const { mistakes, difference, error } = useTried(text, hours);
  return html`<section class="candidate" aria-labelledby="candidate">
    <h2 id="candidate">${say("candidate")}</h2>
    <p class="quiet">${say("candidateHint")}</p>
    <label>${say("candidateField")}
      <textarea rows="12" spellcheck=${false} value=${text} onInput=${(event: Event) => setText((event.target as HTMLTextAreaElement).value)} /></label>
    <label class="over">${say("candidateOver")} <select value=${hours} onChange=${(event: Event) => setHours(Number((event.target as HTMLSelectElement).value))}>
      ${HOURS.map((count) => html`<option value=${count}>${count} ${say(count === 1 ? "hour" : "hoursWord")}</option>`)}
    </select></label>
    <${Failure} error=${error} />
    <div role="status">
      ${mistakes !== null && mistakes.length === 0 && html`<p class="good">✓ ${say("candidateOk")}${difference === null && error === null && html` <span class="quiet">${say("trying")}</span>`}</p>`}
      ${mistakes !== null && mistakes.length > 0 && html`<${Mistakes} mistakes=${mistakes} />`}
    </div>
    ${difference !== null && html`<${DifferenceTable} difference=${difference} />`}
  </section>` as VNode;
}

type State = {
  readonly mistakes: readonly Mistake[] | null;
  readonly difference: Difference | null;
  readonly error: Refused | null;
};

const NOTHING: State = { mistakes: null, difference: null, error: null };

/** What the server says of the text; a text that has changed since ends what was asked of the one before. */
function useTried(text: string, hours: number): State {
  const [state, setState] = useState<State>(NOTHING);
  useEffect(() => {
    setState(NOTHING);
    if (text.trim() === "") return;
    const controller = new AbortController();
    const { signal } = controller;
    const ask = async (more: object) => {
      const body = { policies: text, ...more };
      return (await send<Tried>("POST", "/v1/candidates", { body, signal })) as Tried;
    };
    const tryIt = async () => {
      await pause(CHECK_MS, signal);
      const { mistakes } = await ask({});
      setState({ ...NOTHING, mistakes });
      if (mistakes.length > 0) return;
      await pause(PLAY_MS - CHECK_MS, signal);
      const tried = await whenFree(() => ask({ since: `${hours}h`, limit: CHANGES_SHOWN_COUNT }), signal);
      setState({ ...NOTHING, mistakes, difference: tried as Difference });
    };
    tryIt().catch((reason: unknown) => {
      if (!signal.aborted) setState((before) => ({ ...before, error: refused(reason) }));
    });
    return () => controller.abort();
  }, [text, hours]);
  return state;
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    });
  });
}

/** The server tries one candidate at a time: another one is waited for, once. */
async function whenFree<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof Refused) || error.status !== 503) throw error;
    await pause(BUSY_MS, signal);
    return ask();
  }
}

function Mistakes({ mistakes }: { mistakes: readonly Mistake[] }): VNode {
  const say = useWords();
  return html`<h3>${say("mistakes")} (${mistakes.length})</h3>
    <ul class="mistakes">${mistakes.map(({ line, column, message }) => html`<li>${line !== undefined && html`<code class="place">${line}:${column ?? 1}</code> `}<code class="wrap" lang="en">${message}</code></li>`)}</ul>` as VNode;
}

const TOTALS = ["executed", "skipped", "waiting", "groups"] as const satisfies readonly (keyof Totals & Word)[];

function DifferenceTable({ difference }: { difference: Difference }): VNode {
  const say = useWords();
  const { summary, policies, changes, more, isCut, leftOut, unreadable, refused: unanswered } = difference;
  const sum = (name: "newlyExecuted" | "newlySkipped") => policies.reduce((all, totals) => all + totals[name], 0);
  return html`<div class="difference">
    <h3>${say("difference")}</h3>
    <ul class="tiles">
      <li class="tile"><div><strong>${summary.changed} <small>/ ${summary.instances}</small></strong><span>${say("changed")}</span></div></li>
      <li class="tile tile-executed"><div><strong>${sum("newlyExecuted")}</strong><span>${say("newlyExecuted")}</span></div></li>
      <li class="tile tile-skipped"><div><strong>${sum("newlySkipped")}</strong><span>${say("newlySkipped")}</span></div></li>
    </ul>
    <table class="plain totals"><thead><tr><th />${TOTALS.map((name) => html`<th scope="col" class="number">${say(name)}</th>`)}</tr></thead>
      <tbody>${(["was", "now"] as const).map((side) => html`<tr><th scope="row">${say(side === "was" ? "before" : "candidateColumn")}</th>${TOTALS.map((name) => html`<td class="number">${summary[side][name]}</td>`)}</tr>`)}</tbody></table>
    <${ByPolicy} policies=${policies.filter(({ changed }) => changed > 0)} />
    ${isCut && html`<p class="quiet">${say("isCut")}${leftOut > 0 && ` ${leftOut} ${say("leftOut")}`}</p>`}
    ${unreadable > 0 && html`<p class="quiet">${unreadable} ${say("unreadable")}</p>`}
    ${unanswered > 0 && html`<p class="quiet">${unanswered} ${say("refusedAnswers")}</p>`}
    ${
      changes.length === 0
        ? html`<p class="good">${say("noDifference")}</p>`
        : html`<div class="scroll"><table class="plain changes-table">
      <thead><tr><th scope="col">${say("change")}</th><th scope="col">${say("severity")}</th><th scope="col">${say("policy")} · ${say("labels")}</th><th scope="col">${say("before")}</th><th scope="col">${say("candidateColumn")}</th></tr></thead>
      <tbody>${changes.map((change) => html`<${ChangeRow} key=${change.id} change=${change} />`)}</tbody></table></div>`
    }
    ${more > 0 && html`<p class="quiet">+${more} ${say("others")}</p>`}
  </div>` as VNode;
}

/** Those whose instances would have gone another way. */
function ByPolicy({ policies }: { policies: readonly PolicyTotals[] }): VNode | null {
  const say = useWords();
  if (policies.length < 2) return null;
  const heads = ["executed", "candidateColumn", "newlyExecuted", "newlySkipped", "changed"] as const;
  return html`<div class="scroll"><table class="plain totals"><thead><tr><th scope="col">${say("policy")}</th>${heads.map((name) => html`<th scope="col" class="number">${say(name)}</th>`)}</tr></thead>
    <tbody>${policies.map(
      (one) => html`<tr><th scope="row">${one.policy}</th>
      ${[one.wasExecuted, one.nowExecuted, one.newlyExecuted, one.newlySkipped, one.changed].map((count) => html`<td class="number">${count}</td>`)}</tr>`,
    )}</tbody></table></div>` as VNode;
}

/** As the command tells them apart: an attempt where there was none, or nothing where something was done or asked. */
function kindOf({ was, now }: Change): "newlyExecuted" | "newlySkipped" | "otherChange" {
  if ((was?.attempts ?? 0) === 0 && (now?.attempts ?? 0) > 0) return "newlyExecuted";
  if (was !== null && was.state !== "Skipped" && (now === null || now.state === "Skipped")) return "newlySkipped";
  return "otherChange";
}

function ChangeRow({ change }: { change: Change }): VNode {
  const say = useWords();
  const { id, policy, alert, was, now } = change;
  const kind = kindOf(change);
  const { severity = "-", ...labels } = alert?.labels ?? {};
  return html`<tr>
    <td><span class=${`kind kind-${kind}`}>${say(kind)}</span></td>
    <td>${severity}</td>
    <td><b>${policy}</b> ${was === null ? "" : html`<${InstanceLink} id=${id} />`} <${LabelList} labels=${labels} count=${3} /></td>
    <td><${SideText} side=${was} /></td><td><${SideText} side=${now} /></td>
  </tr>` as VNode;
}

function SideText({ side }: { side: Side }): VNode {
  const say = useWords();
  const { reasons } = useSession();
  if (side === null || side.state === null) return html`<span class="quiet">${say("noInstance")}</span>` as VNode;
  const attempts = side.attempts > 0 ? html` <span class="quiet">× ${side.attempts}</span>` : "";
  return html`<${StateBadge} state=${side.state} />${attempts}${side.reason !== null && html`<span class="quiet because">${say.of(reasons[side.reason] ?? null) || side.reason}</span>`}` as VNode;
}
