/** One instance: why it is where it is, its chart with the way it took, and its past step by step. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { type Action, download, type InstanceDetail, type Policy, type Step, send } from "../api.ts";
import { mayOperate, refused, useData, useSession } from "../data.ts";
import { html } from "../html.ts";
import { Failure, FormDialog, LabelList, Loading, StateBadge, When } from "../parts.ts";
import { hrefOf, type Place } from "../route.ts";
import { useWords, type Word } from "../words.ts";
import { ActionText, AnswerButtons, AnswerDialog, type Asked } from "./answer.ts";
import { Past } from "./past.ts";
import { StatelyFact } from "./stately.ts";

type Steps = { readonly steps: readonly Step[] };

export function InstanceView({ id, place }: { id: string; place: Place }): VNode {
  const say = useWords();
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
    <p class="crumbs"><a href=${hrefOf(["instances"])}>${say("instances")}</a> › <code>${id}</code></p>
    <${Head} instance=${instance} steps=${steps} />
    <${Failure} error=${error ?? pastError} />
    ${steps.length > 0 && html`<${Past} id=${id} steps=${steps} at=${at} group=${instance.group} />`}
    <${Facts} instance=${instance} />
  </section>` as VNode;
}

function Head({ instance, steps }: { instance: InstanceDetail; steps: readonly Step[] }): VNode {
  const say = useWords();
  const { policy, policyVersion, state, kind } = instance;
  const [asked, setAsked] = useState<Asked | null>(null);
  const { value } = useData<Policy>(
    state === "Waiting" ? `/v1/policies/${encodeURIComponent(`${policy}@${policyVersion}`)}` : null,
    { isFixed: true },
  );
  const action = (value?.["action"] ?? null) as Action | null;
  const answered = steps.filter(({ event }) => event.type === "approval.granted" || event.type === "approval.denied");
  const otherwise = steps.findLast(({ counterfactual }) => counterfactual !== null)?.counterfactual ?? null;
  return html`<header class="head">
    <h1 id="instance"><${StateBadge} state=${state} /> ${policy}${kind !== "action" && html` <span class="quiet">${say.kind(kind)}</span>`}</h1>
    <p><${LabelList} labels=${instance.alert?.labels ?? instance.about?.labels ?? null} /></p>
    <p class="why">${say.of(instance.sentence)}</p>
    ${otherwise !== null && html`<p class="otherwise"><b>${say("otherwise")}</b> ${say.of(otherwise.sentence)}</p>`}
    ${answered.map(
      ({
        event,
        actor,
        at,
      }) => html`<p class="answered"><b>${say(event.type === "approval.granted" ? "approvedBy" : "deniedBy")} ${say.who(actor)}</b>${" "}
      “${event["why"] as string}” <span class="quiet"><${When} at=${at} /></span></p>`,
    )}
    ${state === "Waiting" && html`<${ActionText} action=${action} /><${AnswerButtons} target=${{ instance, action }} onAsk=${setAsked} />`}
    <${AnswerDialog} asked=${asked} onClose=${() => setAsked(null)} />
    <${Order} instance=${instance} />
  </header>` as VNode;
}

type OrderType = "start" | "cancel";

const ORDERS: Readonly<Record<string, OrderType>> = { Skipped: "start", Processing: "cancel", Proceeding: "cancel" };
const ORDER_WORDS: Readonly<Record<OrderType, Word>> = { start: "runAnyway", cancel: "stopIt" };

/**
 * What somebody may say to an instance that waits for nobody. The dialog stays when the instance moves on, and says so
 * when it is sent.
 */
function Order({ instance }: { instance: InstanceDetail }): VNode | null {
  const say = useWords();
  const session = useSession();
  const [asked, setAsked] = useState<{ type: OrderType; version: number } | null>(null);
  const type = ORDERS[instance.state];
  const mayOrder = type !== undefined && instance.kind === "action" && mayOperate(session);
  const give = (values: Readonly<Record<string, string>>) =>
    order(instance.id, { ...values, type: asked?.type }, asked?.version ?? 0).finally(session.refresh);
  return html`${mayOrder && html`<div class="buttons"><button type="button" onClick=${() => setAsked({ type, version: instance.version })}>${say(ORDER_WORDS[type])}</button></div>`}
    ${
      asked !== null &&
      html`<${FormDialog} title=${`${say(ORDER_WORDS[asked.type])}: ${instance.policy}`} action=${{ word: ORDER_WORDS[asked.type], isGrave: asked.type === "cancel" }}
      fields=${[{ name: "why", word: "why", isLong: true }]} onDone=${give} onClose=${() => setAsked(null)} />`
    }` as VNode;
}

async function order(id: string, body: object, ifMatch: number): Promise<void> {
  try {
    await send("POST", `/v1/instances/${encodeURIComponent(id)}/events`, { body, ifMatch });
  } catch (error) {
    throw refused(error);
  }
}

function Facts({ instance }: { instance: InstanceDetail }): VNode {
  const say = useWords();
  const { id, group, attempts, annotations, policy, policyVersion, alert, generatorURL } = instance;
  const [failure, setFailure] = useState<ReturnType<typeof refused> | null>(null);
  const save = () =>
    download(`/v1/instances/${encodeURIComponent(id)}/bundle`, `${id}.bundle`).then(
      () => setFailure(null),
      (error: unknown) => setFailure(refused(error)),
    );
  return html`<h2 id="facts">${say("facts")}</h2><dl class="facts">
    <dt>ID</dt><dd><code>${id}</code></dd>
    <dt>${say("policy")}</dt><dd><a href=${hrefOf(["policies"], { show: `${policy}@${policyVersion}` })}>${policy}@${policyVersion}</a></dd>
    ${group !== null && html`<dt>${say("group")}</dt><dd><a href=${hrefOf(["instances"], { group })}>${say("allPeers")}</a> <code>${group}</code></dd>`}
    <dt>${say("attempts")}</dt><dd>${attempts}</dd>
    ${alert !== null && html`<dt>${say("alert")}</dt><dd><code>${alert.fingerprint}</code> <${When} at=${alert.startsAt} /></dd>`}
    ${generatorURL !== null && html`<dt>${say("source")}</dt><dd><${Source} url=${generatorURL} /></dd>`}
    ${Object.entries(annotations).map(([name, value]) => html`<dt>${name}</dt><dd class="wrap">${value}</dd>`)}
    <dt>${say("exportHint")}</dt><dd><button type="button" class="small" onClick=${save}>${say("exportFile")}</button> <span class="quiet">${say("exportUse")}</span> <code>becalm replay --file ${id}.bundle</code><${Failure} error=${failure} /></dd>
    <${StatelyFact} />
  </dl>` as VNode;
}

/** An address that a sender gave: followed only if it is one of the web. */
function Source({ url }: { url: string }): VNode {
  const isWeb = /^https?:\/\//i.test(url);
  return html`${isWeb ? html`<a class="wrap" href=${url} target="_blank" rel="noopener noreferrer">${url}</a>` : html`<code class="wrap">${url}</code>`}` as VNode;
}
