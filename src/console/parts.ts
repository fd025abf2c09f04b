/** Small pieces that several views show. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { AlertRow, Labels, Refused } from "./api.ts";
import { useSession } from "./data.ts";
import { html } from "./html.ts";
import { hrefOf } from "./route.ts";
import { useWords, type Word } from "./words.ts";

export function StateBadge({ state }: { state: string }): VNode {
  return html`<span class=${`state state-${state.toLowerCase()}`}>${state}</span>` as VNode;
}

/** Local time, its zone in the title. */
export function When({ at }: { at: string | null }): VNode {
  const { language } = useWords();
  if (at === null) return html`<span>-</span>` as VNode;
  const date = new Date(at);
  const text = date.toLocaleString(language === "zh" ? "zh-CN" : undefined, {
    dateStyle: "short",
    timeStyle: "medium",
  });
  return html`<time datetime=${at} title=${`${at} (${Intl.DateTimeFormat().resolvedOptions().timeZone})`}>${text}</time>` as VNode;
}

const FIRST = ["alertname", "severity", "cluster", "instance", "host", "service"];

/** Those that tell rows apart come first. */
export function sortedLabels(labels: Labels): [string, string][] {
  const rank = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return Object.entries(labels).sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

export function LabelList({
  alert,
  count = Number.POSITIVE_INFINITY,
}: {
  alert: AlertRow | null;
  count?: number;
}): VNode {
  const labels = sortedLabels(alert?.labels ?? {});
  return html`<span class="labels">
    ${labels.slice(0, count).map(([name, value]) => html`<span class="label"><b>${name}</b>${value}</span>`)}
    ${
      labels.length > count &&
      html`<span class="label more" title=${labels
        .slice(count)
        .map(([name, value]) => `${name}=${value}`)
        .join("\n")}>+${labels.length - count}</span>`
    }
  </span>` as VNode;
}

export function InstanceLink({ id }: { id: string }): VNode {
  return html`<a class="id" href=${hrefOf(["instances", id])}>${id.slice(0, 11)}</a>` as VNode;
}

export function Failure({ error }: { error: Refused | null }): VNode | null {
  const say = useWords();
  if (error === null) return null;
  const last = error.details["last"] as { at?: string; sentence?: { en: string; zh: string } } | null | undefined;
  return html`<div class="failure" role="alert">
    <p>${error.message}</p>
    ${last?.sentence && html`<p>${say("movedOn")} ${say.of(last.sentence)} <${When} at=${last.at ?? null} /></p>`}
  </div>` as VNode;
}

export function Loading(): VNode {
  const say = useWords();
  return html`<p class="quiet" role="status">${say("loading")} ...</p>` as VNode;
}

export type Field = { readonly name: string; readonly word: Word; readonly value?: string; readonly isLong?: boolean };

type FormProps = {
  readonly title: string;
  readonly fields: readonly Field[];
  readonly action: { readonly word: Word; readonly isGrave?: boolean };
  readonly onDone: (values: Readonly<Record<string, string>>) => Promise<void>;
  readonly onClose: () => void;
  readonly children?: ComponentChildren;
};

const NAME = "becalm-name";

/** A dialog that says what will be done, asks for what is needed and shows why the server refuses. */
export function FormDialog({ title, fields, action, onDone, onClose, children }: FormProps): VNode {
  const say = useWords();
  const { caller } = useSession();
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState<Refused | null>(null);
  const [isBusy, setBusy] = useState(false);
  const titleId = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const asked =
    caller.name === null
      ? [{ name: "by", word: "by" as Word, value: localStorage.getItem(NAME) ?? "" }, ...fields]
      : fields;
  const submit = async (event: SubmitEvent) => {
    event.preventDefault();
    const values = Object.fromEntries(new FormData(event.target as HTMLFormElement)) as Record<string, string>;
    if (values["by"] !== undefined) localStorage.setItem(NAME, values["by"]);
    setBusy(true);
    try {
      await onDone(values);
      onClose();
    } catch (failure) {
      setError(failure as Refused);
      setBusy(false);
    }
  };
  return html`<dialog ref=${dialog} aria-labelledby=${titleId} onClose=${onClose}>
    <form onSubmit=${submit}>
      <h2 id=${titleId}>${title}</h2>
      ${children}
      ${asked.map(
        ({ name, word, value = "", isLong = false }: Field) => html`<label>${say(word)}
        ${isLong ? html`<textarea name=${name} required rows="3" defaultValue=${value} />` : html`<input name=${name} required defaultValue=${value} autocomplete="off" />`}
      </label>`,
      )}
      <${Failure} error=${error} />
      <div class="buttons">
        <button type="button" onClick=${onClose}>${say("cancel")}</button>
        <button type="submit" class=${action.isGrave ? "grave" : "main"} disabled=${isBusy}>${say(action.word)}</button>
      </div>
    </form>
  </dialog>` as VNode;
}
