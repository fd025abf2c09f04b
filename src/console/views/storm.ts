/** The storm at a glance: alerts in against actions out, why nothing was done, and which groups are busy. */
import type { VNode } from "preact";
import type { Bucket, Storm } from "../api.ts";
import { useData } from "../data.ts";
import { html } from "../html.ts";
import { Failure, Loading, When } from "../parts.ts";
import { hrefOf } from "../route.ts";
import { useWords } from "../words.ts";

export function StormView(): VNode {
  const say = useWords();
  const { value: storm, error } = useData<Storm>("/v1/storm");
  if (storm === null)
    return html`${error === null ? html`<${Loading} />` : html`<${Failure} error=${error} />`}` as VNode;
  const { totals, waiting, buckets, reasons, groups } = storm;
  return html`<section aria-labelledby="storm">
    <h1 id="storm" class="unseen">${say("storm")}</h1>
    <ul class="tiles">
      <${Tile} count=${totals.alerts} what=${say("alertsIn")} kind="alerts" />
      <${Tile} count=${totals.executed} what=${say("actionsOut")} kind="executed" />
      <${Tile} count=${totals.skipped} what=${say("skipped")} kind="skipped" href=${hrefOf(["instances"], { state: "Skipped" })} />
      <${Tile} count=${waiting} what=${say("waiting")} kind="waiting" href=${hrefOf(["approvals"])} />
    </ul>
    ${totals.alerts === 0 && waiting === 0 && groups.length === 0 && html`<p class="quiet">${say("nothingYet")}</p>`}
    <figure class="plot">
      <figcaption>${say("alertsIn")} / ${say("actionsOut")} <span class="quiet">${say("lastHours")} <${When} at=${storm.since} /></span></figcaption>
      <${Plot} buckets=${buckets} bucketMs=${storm.bucketMs} />
    </figure>
    <div class="columns">
      <section aria-labelledby="why">
        <h2 id="why">${say("whySkipped")}</h2>
        <${Reasons} reasons=${reasons} />
      </section>
      <section aria-labelledby="groups">
        <h2 id="groups">${say("openGroups")}</h2>
        <table class="plain"><tbody>
          ${groups.map(
            (group) => html`<tr>
            <td><a href=${hrefOf(["instances"], { group: group.id })}>${group.policy}</a></td>
            <td class="number">${group.instances}</td>
            <td class="quiet"><${When} at=${group.at} /></td>
          </tr>`,
          )}
        </tbody></table>
      </section>
    </div>
  </section>` as VNode;
}

function Tile({ count, what, kind, href }: { count: number; what: string; kind: string; href?: string }): VNode {
  const inside = html`<strong>${count.toLocaleString()}</strong><span>${what}</span>`;
  return html`<li class=${`tile tile-${kind}`}>${href === undefined ? inside : html`<a href=${href}>${inside}</a>`}</li>` as VNode;
}

function Reasons({ reasons }: Pick<Storm, "reasons">): VNode {
  const say = useWords();
  const most = Math.max(1, ...reasons.map(({ count }) => count));
  return html`<ul class="bars">
    ${reasons.map(
      ({ reason, text, count }) => html`<li>
      <a href=${hrefOf(["instances"], { reason })}><span>${say.of(text)}</span><code>${reason}</code></a>
      <meter min="0" max=${most} value=${count} aria-label=${`${say.of(text)}: ${count}`} /><b class="number">${count.toLocaleString()}</b>
    </li>`,
    )}
  </ul>` as VNode;
}

const WIDTH = 960;
const HALF = 90;

/** Alerts rise from the middle line, actions hang below it, each on a scale of its own: a storm has a hundred alerts an action. */
function Plot({ buckets, bucketMs }: { buckets: readonly Bucket[]; bucketMs: number }): VNode {
  const say = useWords();
  const most = {
    alerts: Math.max(1, ...buckets.map((one) => one.alerts)),
    executed: Math.max(1, ...buckets.map((one) => one.executed)),
  };
  const step = WIDTH / Math.max(buckets.length, 1);
  const bar = (value: number, max: number) => (value === 0 ? 0 : Math.max((value / max) * (HALF - 14), 2));
  const seconds = bucketMs / 1_000;
  return html`<svg viewBox=${`0 0 ${WIDTH} ${2 * HALF + 2}`} preserveAspectRatio="none" role="img"
      aria-label=${`${say("alertsIn")}: ${most.alerts} / ${seconds} s; ${say("actionsOut")}: ${most.executed} / ${seconds} s`}>
    ${buckets.map(
      (one, index) => html`<g key=${one.at}>
      <title>${`${new Date(one.at).toLocaleTimeString()}: ${one.alerts} ${say("alertsIn")}, ${one.executed} ${say("actionsOut")}`}</title>
      <rect class="hit" x=${index * step} y="0" width=${step} height=${2 * HALF} />
      <rect class="alerts" x=${index * step + 0.5} y=${HALF - bar(one.alerts, most.alerts)} width=${Math.max(step - 1, 1)} height=${bar(one.alerts, most.alerts)} />
      <rect class="executed" x=${index * step + 0.5} y=${HALF + 2} width=${Math.max(step - 1, 1)} height=${bar(one.executed, most.executed)} />
    </g>`,
    )}
    <rect class="middle" x="0" y=${HALF} width=${WIDTH} height="1" />
  </svg>` as VNode;
}
