/** The two answers to an approval: of one instance, or of all that a group holds. A stale page is refused by the server, which says what happened. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { type Action, type Approval, type InstanceRow, send } from "../api.ts";
import { mayOperate, refused, useSession } from "../data.ts";
import { html } from "../html.ts";
import { FormDialog, LabelList } from "../parts.ts";
import { useWords } from "../words.ts";

type Verb = "approve" | "deny";
type Target = { readonly instance: InstanceRow; readonly action: Action | null } | { readonly approval: Approval };

export function Answer(target: Target): VNode | null {
  const say = useWords();
  const session = useSession();
  const [verb, setVerb] = useState<Verb | null>(null);
  if (!mayOperate(session)) return html`<p class="quiet">${say("readOnlyHint")}</p>` as VNode;
  const isGroup = "approval" in target && target.approval.held > 1;
  const word = (one: Verb) => (isGroup ? (one === "approve" ? "approveAll" : "denyAll") : one);
  const answer = async (values: Readonly<Record<string, string>>) => {
    try {
      await send("POST", `${pathOf(target)}/${verb}`, {
        body: values,
        ...("instance" in target ? { ifMatch: target.instance.version } : {}),
      });
    } catch (error) {
      session.refresh();
      throw refused(error);
    }
    session.refresh();
  };
  return html`<div class="buttons">
    <button type="button" class="main" onClick=${() => setVerb("approve")}>${say(word("approve"))}</button>
    <button type="button" onClick=${() => setVerb("deny")}>${say(word("deny"))}</button>
    ${
      verb !== null &&
      html`<${FormDialog} title=${`${say(word(verb))}: ${titleOf(target)}`}
      fields=${[{ name: "why", word: "why", isLong: true }]} action=${{ word: word(verb), isGrave: verb === "deny" }}
      onDone=${answer} onClose=${() => setVerb(null)}><${Asked} ...${target} /><//>`
    }
  </div>` as VNode;
}

/** What a grant would begin, and for what. */
function Asked(target: Target): VNode {
  const say = useWords();
  const { sentence, alert } = "approval" in target ? target.approval : target.instance;
  const action = "approval" in target ? target.approval.action : target.action;
  return html`<p>${say.of(sentence)}</p>
    <p><${LabelList} labels=${alert?.labels ?? null} /></p>
    <${ActionText} action=${action} />` as VNode;
}

/** The action in a line: what is called or run. */
export function ActionText({ action }: { action: Action | null }): VNode | null {
  const say = useWords();
  if (action === null) return null;
  return html`<p class="action">${say("would")} <code class="wrap">${actionText(action)}</code></p>` as VNode;
}

export function actionText({ kind, ...rest }: Action): string {
  const { url, method, command, args, name } = rest as Readonly<Record<string, unknown>>;
  if (typeof url === "string") return `${typeof method === "string" ? method : "POST"} ${url}`;
  const given = Array.isArray(args) ? args : [];
  if (Array.isArray(command)) return [...command, ...given].join(" ");
  if (typeof command === "string") return [command, ...given].join(" ");
  return typeof name === "string" ? `${kind} ${name}` : kind;
}

function pathOf(target: Target): string {
  if ("instance" in target) return `/v1/instances/${encodeURIComponent(target.instance.id)}`;
  const { group, instances } = target.approval;
  if (group !== null) return `/v1/groups/${encodeURIComponent(group)}`;
  return `/v1/instances/${encodeURIComponent(instances[0] ?? "")}`;
}

function titleOf(target: Target): string {
  if ("instance" in target) return target.instance.policy;
  return `${target.approval.policy} (${target.approval.held})`;
}
