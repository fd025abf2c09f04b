/**
 * What waits for a person: a row a group, or an instance without one, the most urgent first; and what was decided
 * lately, by whom.
 */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import type { Approval, Decided, Labels } from "../api.ts";
import { useData, useSession } from "../data.ts";
import { html } from "../html.ts";
import { Distance, Empty, Failure, InstanceLink, LabelList, Loading, sortedLabels, When } from "../parts.ts";
import { hrefOf } from "../route.ts";
import { useWords, type Word } from "../words.ts";
import { ActionText, AnswerButtons, AnswerDialog, type Asked } from "./answer.ts";

const SHOWN_COUNT = 8;

export function ApprovalsView(): VNode {
  const say = useWords();
  const { approvals } = useSession();
  const [asked, setAsked] = useState<Asked | null>(null);
  const { value, error } = useData<{ decided: readonly Decided[] }>("/v1/decided");
  const urgentFirst = [...(approvals ?? [])].sort((a, b) => ((a.dueAt ?? "9") < (b.dueAt ?? "9") ? -1 : 1));
  return html`<section aria-labelledby="approvals" class="approvals">
    <h1 id="approvals">${say("approvals")}</h1>
    <div class="asked"><${Failure} error=${error} />
    ${approvals === null && html`<${Loading} />`}
    ${approvals !== null && approvals.length === 0 && html`<${Empty} word="nothingWaits" />`}
    <ul class="cards">${urgentFirst.map((one) => html`<${ApprovalCard} key=${one.group ?? one.instances[0]} approval=${one} onAsk=${setAsked} />`)}</ul></div>
    <${AnswerDialog} asked=${asked} onClose=${() => setAsked(null)} />
    <section aria-labelledby="decided" class="decided">
      <h2 id="decided">${say("decided")}</h2>
      ${value !== null && value.decided.length === 0 && html`<p class="quiet">${say("nothingDecided")}</p>`}
      ${value !== null && value.decided.length > 0 && html`<ul class="log">${value.decided.map((one) => html`<${DecidedRow} one=${one} />`)}</ul>`}
    </section>
  </section>` as VNode;
}

function ApprovalCard({ approval, onAsk }: { approval: Approval; onAsk: (asked: Asked) => void }): VNode {
  const say = useWords();
  const { policy, held, sentence, action, since, dueAt, group, shown } = approval;
  const common = commonLabels(shown.map(({ labels }) => labels ?? {}));
  const more = held - Math.min(held, SHOWN_COUNT);
  return html`<li class="card">
    <h2>${policy} ${held > 1 && html`<span class="quiet">${held} ${say("held")}</span>`}</h2>
    <p class="why">${say.of(sentence)}</p>
    <p><${LabelList} labels=${common} /></p>
    <${ActionText} action=${action} />
    <p class="quiet">${say("waitsSince")} <${When} at=${since} />${dueAt !== null && html` · ${say("dueAt")} <b><${When} at=${dueAt} /></b> (<${Distance} at=${dueAt} />)`}</p>
    <ul class="members">
      ${shown.slice(0, SHOWN_COUNT).map(({ id, labels }) => html`<li><${InstanceLink} id=${id}>${ownText(labels, common) || undefined}<//></li>`)}
      ${more > 0 && group !== null && html`<li><a href=${hrefOf(["instances"], { group, state: "Waiting" })}>+${more} ${say("others")}</a></li>`}
    </ul>
    <${AnswerButtons} target=${{ approval }} onAsk=${onAsk} />
  </li>` as VNode;
}

/** Labels that all of them have with the same value: what the storm has in common. */
export function commonLabels(all: readonly Labels[]): Labels {
  const [first = {}, ...others] = all;
  return Object.fromEntries(
    Object.entries(first).filter(([name, value]) => others.every((labels) => labels[name] === value)),
  );
}

/** What tells one from the others, in a few words. */
function ownText(labels: Labels | null, common: Labels): string {
  const own = sortedLabels(labels ?? {}).filter(([name]) => common[name] === undefined);
  return own
    .slice(0, 2)
    .map(([, value]) => value)
    .join(" ");
}

const VERBS: Readonly<Record<string, Word>> = {
  "approval.granted": "granted",
  "approval.counted": "counted",
  "approval.denied": "denied",
};

function DecidedRow({ one }: { one: Decided }): VNode {
  const say = useWords();
  const { event, policy, by, why, at, count, labels, instances, group } = one;
  const verb = VERBS[event] ?? "decided";
  return html`<li class=${`log-${verb}`}>
    <p><b class="by">${say.who(by)}</b> <span class=${`verdict verdict-${verb}`}>${say(verb)}</span> <b>${policy}</b>
      ${count > 1 && group !== null && html` <a href=${hrefOf(["instances"], { group })}>(${count})</a>`}
      ${" "}<span class="quiet"><${When} at=${at} /></span></p>
    ${why !== null && html`<p>“${why}”</p>`}
    <p><${InstanceLink} id=${instances[0]} /> <${LabelList} labels=${labels} count=${4} /></p>
  </li>` as VNode;
}
