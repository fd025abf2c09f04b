/**
 * The storm at a glance: alerts in against actions out, why nothing was done, which groups are busy, and what waits for
 * a person.
 */
import type { VNode } from "preact";
import type { Bucket, Storm } from "../api.ts";
import { useData, useSession } from "../data.ts";
import { html } from "../html.ts";
import { Bar, Distance, Empty, Failure, LabelList, Loading, When } from "../parts.ts";
import { hrefOf } from "../route.ts";
import { useWords } from "../words.ts";
import { commonLabels } from "./approvals.ts";
import { PauseButton } from "./pause.ts";

const HELD_SHOWN_COUNT = 3;

export function StormView(): VNode {
  const say = useWords();
  const { value: storm, error } = useData<Storm>("/v1/storm");
  if (storm === null)
    return html`${error === null ? html`<${Loading} />` : html`<${Failure} error=${error} />`}` as VNode;
  const { totals, waiting, buckets, reasons, groups } = storm;
  const isEmpty = totals.alerts === 0 && waiting === 0 && groups.length === 0;
  return html`<section aria-labelledby="storm">
    <div class="title"><h1 id="storm">${say("storm")}</h1>
      <p class="quiet">${say("sinceTime")} <${When} at=${storm.since} /></p><${PauseButton} /></div>
    <${Failure} error=${error} />
    ${isEmpty && html`<${Empty} word="calm"><p class="quiet">${say("nothingYet")}</p><//>`}
    <ul class="tiles">
      <${Tile} count=${totals.alerts} what=${say("alertsIn")} kind="alerts" href=${hrefOf(["instances"])} />
      <${Tile} count=${totals.executed} what=${say("actionsOut")} kind="executed" />
      <${Tile} count=${totals.skipped} what=${say("skipped")} kind="skipped" href=${hrefOf(["instances"], { state: "Skipped" })} />
      <${Tile} count=${waiting} what=${say("waiting")} kind="waiting" href=${hrefOf(["approvals"])} />
    </ul>
    <${Held} />
    <${Plot} buckets=${buckets} />
    <div class="columns">
      <section aria-labelledby="why">
        <h2 id="why">${say("whySkipped")}</h2>
        <${Reasons} reasons=${reasons} />
      </section>
      <section aria-labelledby="groups">
        <h2 id="groups">${say("openGroups")}</h2>
        <${Groups} groups=${groups} />
      </section>
    </div>
  </section>` as VNode;
}

function numberText(count: number, language: string): string {
  return count.toLocaleString(language === "zh" ? "zh-CN" : undefined);
}

function Tile({ count, what, kind, href }: { count: number; what: string; kind: string; href?: string }): VNode {
  const { language } = useWords();
  const inside = html`<strong>${numberText(count, language)}</strong><span>${what}</span>`;
  return html`<li class=${`tile tile-${kind} ${count === 0 ? "none" : ""}`}>${href === undefined ? html`<div>${inside}</div>` : html`<a href=${href}>${inside}</a>`}</li>` as VNode;
}

/** What waits for a person, the most urgent first. */
function Held(): VNode | null {
  const say = useWords();
  const { approvals } = useSession();
  if (approvals === null || approvals.length === 0) return null;
  const urgentFirst = [...approvals].sort((a, b) => ((a.dueAt ?? "9") < (b.dueAt ?? "9") ? -1 : 1));
  return html`<section class="held" aria-labelledby="held"><h2 id="held">${say("waitsForYou")}</h2><ul>
    ${urgentFirst.slice(0, HELD_SHOWN_COUNT).map(
      (one) => html`<li><p><b>${one.policy}</b> ${one.held > 1 && html`<span>${one.held} ${say("held")}</span>`}${" "}
      ${one.dueAt !== null && html`<span class="quiet">${say("dueAt")} <${When} at=${one.dueAt} /> (<${Distance} at=${one.dueAt} />)</span>`}</p>
      <p><${LabelList} labels=${commonLabels(one.shown.map(({ labels }) => labels ?? {}))} count=${6} /></p></li>`,
    )}
  </ul><a class="button" href=${hrefOf(["approvals"])}>${say("decide")}${approvals.length > HELD_SHOWN_COUNT ? ` (${approvals.length})` : ""}</a></section>` as VNode;
}

function Reasons({ reasons }: Pick<Storm, "reasons">): VNode {
  const say = useWords();
  const most = Math.max(1, ...reasons.map(({ count }) => count));
  if (reasons.length === 0) return html`<p class="quiet">${say("noneSkipped")}</p>` as VNode;
  return html`<ul class="bars">
    ${reasons.map(
      ({ reason, text, count }) => html`<li>
      <a href=${hrefOf(["instances"], { reason, state: "Skipped" })}>${say.of(text)}</a>
      <${Bar} part=${count / most} kind="skipped" /><b class="number">${numberText(count, say.language)}</b>
    </li>`,
    )}
  </ul>` as VNode;
}

function Groups({ groups }: Pick<Storm, "groups">): VNode {
  const say = useWords();
  if (groups.length === 0) return html`<p class="quiet">${say("noGroups")}</p>` as VNode;
  return html`<div class="scroll"><table class="plain groups">
    <thead><tr><th scope="col">${say("dimension")}</th><th scope="col" class="number">${say("all")}</th><th scope="col" class="number">${say("executed")}</th>
      <th scope="col" class="number">${say("skipped")}</th><th scope="col" class="number">${say("heldColumn")}</th><th scope="col">${say("last")}</th></tr></thead>
    <tbody>${groups.map(
      (group) => html`<tr key=${group.id}>
      <th scope="row"><a href=${hrefOf(["instances"], { group: group.id })}>${group.policy}</a> <${LabelList} labels=${group.dimensions} />
        ${group.open !== null && html`<span class="open">${say("openUntil")} <${When} at=${group.open.until} /></span>`}</th>
      <td class="number">${group.instances}</td><td class="number">${group.executed}</td><td class="number">${group.skipped}</td>
      <td class="number">${group.held > 0 ? html`<b class="badge">${group.held}</b>` : 0}</td>
      <td class="quiet"><${When} at=${group.at} /></td>
    </tr>`,
    )}</tbody></table></div>` as VNode;
}

const WIDTH = 960;
const HALF = 84;

/**
 * Alerts rise from the middle line, actions hang below it, each on a scale of its own: a storm has a hundred alerts an
 * action.
 */
function Plot({ buckets }: { buckets: readonly Bucket[] }): VNode {
  const say = useWords();
  const most = {
    alerts: Math.max(1, ...buckets.map((one) => one.alerts)),
    executed: Math.max(1, ...buckets.map((one) => one.executed)),
  };
  const step = WIDTH / Math.max(buckets.length, 1);
  const bar = (value: number, max: number) => (value === 0 ? 0 : Math.max((value / max) * (HALF - 4), 2));
  const legend = (kind: "alerts" | "executed", what: string) =>
    html`<span class=${`key key-${kind}`}>${what} <span class="quiet">${say("most")} ${numberText(most[kind], say.language)} ${say("aMinute")}</span></span>`;
  return html`<figure class="plot">
    <figcaption><span class="unseen">${say("eachMinute")}</span>${legend("alerts", say("alertsIn"))}${legend("executed", say("actionsOut"))}</figcaption>
    <svg viewBox=${`0 0 ${WIDTH} ${2 * HALF + 2}`} preserveAspectRatio="none" role="img"
      aria-label=${`${say("eachMinute")}. ${say("alertsIn")}: ${say("most")} ${most.alerts}; ${say("actionsOut")}: ${say("most")} ${most.executed}`}>
    ${buckets.map(
      (one, index) => html`<g key=${one.at}>
      <title>${`${new Date(one.at).toLocaleTimeString(say.language === "zh" ? "zh-CN" : undefined)}: ${one.alerts} ${say("alertsIn")}, ${one.executed} ${say("actionsOut")}, ${one.skipped} ${say("skipped")}`}</title>
      <rect class="hit" x=${index * step} y="0" width=${step} height=${2 * HALF + 2} />
      <rect class="alerts" x=${index * step + 0.1 * step} y=${HALF - bar(one.alerts, most.alerts)} width=${0.8 * step} height=${bar(one.alerts, most.alerts)} />
      <rect class="executed" x=${index * step + 0.1 * step} y=${HALF + 2} width=${0.8 * step} height=${bar(one.executed, most.executed)} />
    </g>`,
    )}
    <rect class="middle" x="0" y=${HALF} width=${WIDTH} height="1" />
  </svg>
  <p class="axis quiet" aria-hidden="true"><${When} at=${buckets[0]?.at ?? null} /><${When} at=${buckets[buckets.length >> 1]?.at ?? null} /><span>${say("now")}</span></p>
  </figure>` as VNode;
}
