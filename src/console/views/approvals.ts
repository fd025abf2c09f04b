/** What waits for a person: a row a group, or an instance without one, the most urgent first. */
import type { VNode } from "preact";
import type { Approval } from "../api.ts";
import { useData } from "../data.ts";
import { html } from "../html.ts";
import { Failure, InstanceLink, LabelList, Loading, When } from "../parts.ts";
import { hrefOf } from "../route.ts";
import { useWords } from "../words.ts";
import { Answer } from "./answer.ts";

const SHOWN_COUNT = 8;

export function ApprovalsView(): VNode {
  const say = useWords();
  const { value, error } = useData<{ approvals: readonly Approval[] }>("/v1/approvals");
  const approvals = [...(value?.approvals ?? [])].sort((a, b) => ((a.dueAt ?? "9") < (b.dueAt ?? "9") ? -1 : 1));
  return html`<section aria-labelledby="approvals">
    <h1 id="approvals">${say("approvals")}</h1>
    <${Failure} error=${error} />
    ${value === null && error === null && html`<${Loading} />`}
    ${value !== null && approvals.length === 0 && html`<p class="quiet">${say("nothingWaits")}</p>`}
    <ul class="cards">
      ${approvals.map(
        (approval) => html`<li class="card" key=${approval.group ?? approval.instances[0]}>
        <h2>${approval.policy} <span class="quiet">${approval.held} ${say("held")}</span></h2>
        <p class="why">${say.of(approval.sentence)}</p>
        <p><${LabelList} alert=${approval.alert} /></p>
        <p class="quiet">${say("since")} <${When} at=${approval.since} />${approval.dueAt !== null && html` · ${say("dueAt")} <b><${When} at=${approval.dueAt} /></b>`}</p>
        <p>${approval.instances.slice(0, SHOWN_COUNT).map((id) => html`<${InstanceLink} id=${id} /> `)}
          ${approval.held > SHOWN_COUNT && approval.group !== null && html`<a href=${hrefOf(["instances"], { group: approval.group, state: "Waiting" })}>+${approval.held - SHOWN_COUNT}</a>`}</p>
        <${Answer} approval=${approval} />
      </li>`,
      )}
    </ul>
  </section>` as VNode;
}
