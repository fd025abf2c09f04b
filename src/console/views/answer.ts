/**
 * The two answers to an approval: of one instance, or of all that a group holds. A stale page is refused by the server,
 * which says what happened.
 */
import type { VNode } from "preact";
import { type Action, type Approval, type InstanceRow, send } from "../api.ts";
import { mayOperate, refused, useSession } from "../data.ts";
import { html } from "../html.ts";
import { FormDialog, LabelList } from "../parts.ts";
import { useWords, type Word } from "../words.ts";

type Verb = "approve" | "deny";
export type Target =
  | { readonly instance: InstanceRow; readonly action: Action | null }
  | { readonly approval: Approval };
/** What somebody is about to answer, as they saw it. */
export type Asked = { readonly verb: Verb; readonly target: Target };

function wordOf(verb: Verb, target: Target): Word {
  const isGroup = "approval" in target && target.approval.held > 1;
  if (verb === "approve") return isGroup ? "approveAll" : "approve";
  return isGroup ? "denyAll" : "deny";
}

/** `onAsk`: the dialog belongs to the page, which stays when what was asked about moves on. */
export function AnswerButtons({ target, onAsk }: { target: Target; onAsk: (asked: Asked) => void }): VNode {
  const say = useWords();
  if (!mayOperate(useSession())) return html`<p class="quiet">${say("readOnlyHint")}</p>` as VNode;
  return html`<div class="buttons">
    <button type="button" class="main" onClick=${() => onAsk({ verb: "approve", target })}>${say(wordOf("approve", target))}</button>
    <button type="button" onClick=${() => onAsk({ verb: "deny", target })}>${say(wordOf("deny", target))}</button>
  </div>` as VNode;
}

export function AnswerDialog({ asked, onClose }: { asked: Asked | null; onClose: () => void }): VNode | null {
  const say = useWords();
  const session = useSession();
  if (asked === null) return null;
  const { verb, target } = asked;
  const answer = async (values: Readonly<Record<string, string>>) => {
    try {
      await send("POST", `${pathOf(target)}/${verb}`, {
        body: values,
        ...("instance" in target ? { ifMatch: target.instance.version } : {}),
      });
    } catch (error) {
      throw refused(error);
    } finally {
      session.refresh();
    }
  };
  const word = wordOf(verb, target);
  return html`<${FormDialog} title=${`${say(word)}: ${titleOf(target)}`}
    fields=${[{ name: "why", word: "why", isLong: true }]} action=${{ word, isGrave: verb === "deny" }}
    onDone=${answer} onClose=${onClose}><${AskedText} target=${target} /><//>` as VNode;
}

/** What a grant would begin, and for what. */
function AskedText({ target }: { target: Target }): VNode {
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
