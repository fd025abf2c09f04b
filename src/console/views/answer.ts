/** The two answers to an approval: of one instance, or of all that a group holds. A stale page is refused by the server, which says what happened. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { type Approval, type InstanceRow, send } from "../api.ts";
import { mayOperate, refused, useSession } from "../data.ts";
import { html } from "../html.ts";
import { FormDialog } from "../parts.ts";
import { useWords } from "../words.ts";

type Verb = "approve" | "deny";
type Target = { readonly instance: InstanceRow } | { readonly approval: Approval };

export function Answer(target: Target): VNode | null {
  const say = useWords();
  const session = useSession();
  const [verb, setVerb] = useState<Verb | null>(null);
  if (!mayOperate(session)) return html`<p class="quiet">${say("readOnly")}</p>` as VNode;
  const isGroup = "approval" in target && target.approval.held > 1;
  const word = (one: Verb) => (isGroup ? (one === "approve" ? "approveAll" : "denyAll") : one);
  const answer = async (values: Readonly<Record<string, string>>) => {
    try {
      await send("POST", `${pathOf(target)}/${verb}`, {
        body: values,
        ...("instance" in target ? { ifMatch: target.instance.version } : {}),
      });
    } catch (error) {
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
      onDone=${answer} onClose=${() => setVerb(null)}>
      <p>${"approval" in target ? say.of(target.approval.sentence) : say.of(target.instance.sentence)}</p>
    <//>`
    }
  </div>` as VNode;
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
