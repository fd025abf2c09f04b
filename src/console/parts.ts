/** Small pieces that several views show. */
import type { ComponentChildren, VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import type { Labels, Refused } from "./api.ts";
import { useSession } from "./data.ts";
import { html } from "./html.ts";
import { hrefOf } from "./route.ts";
import { type Language, useWords, type Word } from "./words.ts";

export function StateBadge({ state }: { state: string }): VNode {
  const say = useWords();
  return html`<span class=${`state state-${state.toLowerCase()}`} title=${state}>${say.state(state)}</span>` as VNode;
}

const DAY_MS = 86_400_000;

function localeOf(language: Language): string | undefined {
  return language === "zh" ? "zh-CN" : undefined;
}

const FORMATS = new Map<string, Intl.DateTimeFormat>();

/** Formatters are costly to make: each is made once. */
function format(date: Date, language: Language, isToday: boolean): string {
  const key = `${language} ${isToday}`;
  const known =
    FORMATS.get(key) ??
    new Intl.DateTimeFormat(localeOf(language), {
      ...(isToday ? {} : { month: "short", day: "numeric" }),
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      hourCycle: "h23",
    });
  FORMATS.set(key, known);
  return known.format(date);
}

/** Local time, with the day unless it is today; the whole and its zone in the title. */
export function When({ at }: { at: string | null }): VNode {
  const { language } = useWords();
  if (at === null) return html`<span>-</span>` as VNode;
  const date = new Date(at);
  const isToday = date.toDateString() === new Date().toDateString();
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  return html`<time datetime=${at} title=${`${date.toLocaleString(localeOf(language))} (${zone})`}>${format(date, language, isToday)}</time>` as VNode;
}

const STEPS = [
  ["day", DAY_MS],
  ["hour", 3_600_000],
  ["minute", 60_000],
] as const;

/** How long until then, or since: `in 28 minutes`. */
export function Distance({ at }: { at: string }): VNode {
  const { language } = useWords();
  const awayMs = Date.parse(at) - Date.now();
  const [unit, unitMs] = STEPS.find(([, ms]) => Math.abs(awayMs) >= ms) ?? (["second", 1_000] as const);
  const text = new Intl.RelativeTimeFormat(localeOf(language) ?? "en", { numeric: "auto" });
  return html`<span class="distance">${text.format(Math.trunc(awayMs / unitMs), unit)}</span>` as VNode;
}

const FIRST = ["alertname", "severity", "cluster", "instance", "host", "service"];

/** Those that tell rows apart come first. */
export function sortedLabels(labels: Labels): [string, string][] {
  const rank = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return Object.entries(labels).sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

type LabelListProps = { readonly labels: Labels | null; readonly count?: number };

export function LabelList({ labels, count = Number.POSITIVE_INFINITY }: LabelListProps): VNode {
  const all = sortedLabels(labels ?? {});
  const rest = all.slice(count).map(([name, value]) => `${name}=${value}`);
  return html`<span class="labels">
    ${all.slice(0, count).map(([name, value]) => html`<span class="label"><b>${name}</b>${value}</span>`)}
    ${rest.length > 0 && html`<span class="label more" title=${rest.join("\n")}>+${rest.length}</span>`}
  </span>` as VNode;
}

export function InstanceLink({ id, children }: { id: string; children?: ComponentChildren }): VNode {
  return html`<a class="id" href=${hrefOf(["instances", id])} title=${id}>${children ?? id.slice(0, 11)}</a>` as VNode;
}

const ERRORS: Readonly<Record<string, Word>> = {
  BECALM_VERSION_MOVED: "errorMoved",
  BECALM_EVENT_REFUSED: "errorRefused",
  BECALM_NOT_FOUND: "errorMissing",
  BECALM_ARGUMENT_INVALID: "errorInvalid",
  BECALM_BUSY: "errorBusy",
  BECALM_FORBIDDEN: "errorForbidden",
  MATCHERS: "errorMatchers",
  HOURS: "errorHours",
};

/** What the server refused. Its own words are English: in another language they come second. */
export function Failure({ error }: { error: Refused | null }): VNode | null {
  const say = useWords();
  if (error === null) return null;
  const last = error.details["last"] as { at?: string; sentence?: { en: string; zh: string } } | null | undefined;
  const fallback = error.status === 0 ? "errorAway" : error.status === 403 ? "errorForbidden" : "errorOther";
  const short = say(ERRORS[error.code] ?? fallback);
  const isEnglish = say.language === "en";
  return html`<div class="failure" role="alert">
    <p>${isEnglish && error.status !== 0 ? error.message : short}</p>
    ${last?.sentence && html`<p>${say("movedOn")} ${say.of(last.sentence)} <${When} at=${last.at ?? null} /></p>`}
    ${!isEnglish && html`<details><summary>${say("original")}</summary><code class="wrap" lang="en">${error.message}</code></details>`}
  </div>` as VNode;
}

export function Loading(): VNode {
  const say = useWords();
  return html`<p class="quiet loading" role="status">${say("loading")} ...</p>` as VNode;
}

export function Empty({ word, children }: { word: Word; children?: ComponentChildren }): VNode {
  const say = useWords();
  return html`<div class="empty"><p>${say(word)}</p>${children}</div>` as VNode;
}

export type Field = { readonly name: string; readonly word: Word; readonly value?: string; readonly isLong?: boolean };

type FormProps = {
  readonly title: string;
  readonly fields: readonly Field[];
  readonly action: { readonly word: Word; readonly isGrave?: boolean };
  readonly onDone: (values: Readonly<Record<string, string>>) => Promise<void>;
  readonly onClose: () => void;
  /** Who acts is asked if no token says it. */
  readonly asksName?: boolean;
  readonly children?: ComponentChildren;
};

const NAME = "becalm-name";

/** A dialog that says what will be done, asks for what is needed and shows why the server refuses. */
export function FormDialog({ title, fields, action, onDone, onClose, asksName = true, children }: FormProps): VNode {
  const say = useWords();
  const { caller } = useSession();
  const dialog = useRef<HTMLDialogElement>(null);
  const [error, setError] = useState<Refused | null>(null);
  const [isBusy, setBusy] = useState(false);
  const titleId = useId();
  useEffect(() => dialog.current?.showModal(), []);
  const byField: Field = { name: "by", word: "by", value: localStorage.getItem(NAME) ?? "" };
  const asked = asksName && caller.name === null ? [byField, ...fields] : fields;
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

/** A part of a whole, beside the number that says it. */
export function Bar({ part, kind }: { part: number; kind: string }): VNode {
  const fill = { width: `${Math.min(100, Math.max(part * 100, 1))}%` };
  return html`<span class="bar" aria-hidden="true"><i class=${kind} style=${fill} /></span>` as VNode;
}
