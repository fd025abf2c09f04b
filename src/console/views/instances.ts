/** Instances, newest first. Every filter is in the address; the list follows what is committed. */
import type { VNode } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { InstanceRow, Labels, Policy } from "../api.ts";
import { useData, useSession } from "../data.ts";
import { html } from "../html.ts";
import { type Pages, type Range, usePages } from "../pages.ts";
import { Empty, Failure, InstanceLink, Loading, StateBadge, sortedLabels, When } from "../parts.ts";
import { hrefOf, type Place, replacePlace, searchQuery } from "../route.ts";
import { useVisibleRows } from "../visible-rows.ts";
import { useWords, type Word } from "../words.ts";

const STATES = ["Idle", "Processing", "Proceeding", "Success", "Failed", "Defense", "Waiting", "Skipped"];
const SINCE: readonly (readonly [string, Word])[] = [
  ["1h", "lastHour"],
  ["6h", "last6h"],
  ["24h", "last24h"],
  ["7d", "last7d"],
];
const FILTERS = ["state", "policy", "group", "labels", "text", "reason", "since"] as const;
const TYPED_MS = 300;
const LABEL_COUNT = 5;
/** So many rows before the end of what is there, more are read. */
const AHEAD_COUNT = 40;

type Filters = Readonly<Record<(typeof FILTERS)[number], string>>;

function filtersOf(place: Place): Filters {
  return Object.fromEntries(FILTERS.map((name) => [name, place.query.get(name) ?? ""])) as Filters;
}

function pathOf(filters: Filters): string {
  const query = new URLSearchParams();
  for (const name of FILTERS) if (filters[name] !== "") query.set(name, filters[name]);
  return `/v1/instances?${query}`;
}

export function InstancesView({ place }: { place: Place }): VNode {
  const say = useWords();
  const filters = filtersOf(place);
  const seen = useRef<Range>({ from: 0, to: 0 });
  const pages = usePages(pathOf(filters), () => seen.current);
  const { rows, error } = pages;
  return html`<section aria-labelledby="instances">
    <div class="title"><h1 id="instances">${say("instances")}</h1>
      ${rows !== null && html`<p class="quiet" role="status">${rows.length}${pages.next === null ? "" : "+"} ${say("shown")}</p>`}</div>
    <${FilterBar} filters=${filters} />
    <${Failure} error=${error} />
    ${rows === null && error === null && html`<${Loading} />`}
    ${rows !== null && rows.length === 0 && html`<${Empty} word="noMatch" />`}
    ${rows !== null && rows.length > 0 && html`<${Rows} rows=${rows} pages=${pages} seen=${seen} sought=${filters.text.toLowerCase()} />`}
    ${pages.next !== null && pages.isShort && html`<p class="buttons"><button type="button" onClick=${pages.loadMore}>${say("searchOn")}</button></p>`}
    ${pages.hasNewer && html`<button type="button" class="newer" onClick=${pages.toTop}>↑ ${say("newer")}</button>`}
  </section>` as VNode;
}

type RowsProps = {
  readonly rows: readonly InstanceRow[];
  readonly pages: Pages;
  readonly seen: { current: Range };
  /** In a label's value, in small letters. */
  readonly sought: string;
};

function Rows({ rows, pages, seen, sought }: RowsProps): VNode {
  const say = useWords();
  const list = useRef<HTMLTableSectionElement>(null);
  const { from, to, rowPx } = useVisibleRows(list, rows.length);
  seen.current = { from, to };
  const order = useMemo(() => tellingOrder(rows, sought), [rows, sought]);
  const isEndSeen = to >= rows.length - AHEAD_COUNT;
  useEffect(() => {
    if (isEndSeen && !pages.isShort) pages.loadMore();
  }, [isEndSeen, rows.length]);
  const spacer = (count: number) =>
    count > 0 &&
    html`<tr class="spacer" aria-hidden="true" style=${{ height: `${count * rowPx}px` }}><td colspan="5" /></tr>`;
  return html`<table class="rows" aria-rowcount=${pages.next === null ? rows.length + 1 : -1}>
    <thead><tr>
      <th scope="col" class="col-state">${say("state")}</th><th scope="col">${say("policy")} · ${say("labels")}</th>
      <th scope="col">${say("whyColumn")}</th><th scope="col" class="col-when">${say("when")}</th><th scope="col" class="col-id">ID</th>
    </tr></thead>
    <tbody ref=${list} onKeyDown=${moveFocus}>
      ${spacer(from)}
      ${rows.slice(from, to).map((row, index) => html`<${Row} key=${row.id} row=${row} number=${from + index + 2} order=${order} />`)}
      ${spacer(rows.length - to)}
    </tbody>
  </table>` as VNode;
}

/** A request and a summary have the labels of what they are about. */
function labelsOf({ alert, about }: InstanceRow): Labels {
  return alert?.labels ?? about?.labels ?? {};
}

/** Names of labels: what was sought first, then those whose values tell most rows apart. */
function tellingOrder(rows: readonly InstanceRow[], sought: string): readonly string[] {
  const values = new Map<string, Set<string>>();
  for (const row of rows.slice(0, 300))
    for (const [name, value] of Object.entries(labelsOf(row))) {
      const known = values.get(name) ?? new Set<string>();
      values.set(name, known.add(value));
    }
  const usual = sortedLabels(Object.fromEntries([...values.keys()].map((name) => [name, ""]))).map(([name]) => name);
  const isSought = (name: string) =>
    sought !== "" && [...(values.get(name) ?? [])].some((value) => value.toLowerCase().includes(sought));
  const rank = (name: string) => (isSought(name) ? Number.POSITIVE_INFINITY : (values.get(name)?.size ?? 0));
  return usual.sort((a, b) => (rank(a) === rank(b) ? 0 : rank(b) - rank(a)));
}

type RowProps = { readonly row: InstanceRow; readonly number: number; readonly order: readonly string[] };

function Row({ row, number, order }: RowProps): VNode {
  const say = useWords();
  if (row.quarantined)
    return html`<tr aria-rowindex=${number}><td class="col-state"><span class="state state-failed">?</span></td><td colspan="3" class="why" title=${row.error}>${row.error}</td><td class="col-id"><${InstanceLink} id=${row.id} /></td></tr>` as VNode;
  const labels = labelsOf(row);
  const shown = order.filter((name) => labels[name] !== undefined);
  const all = shown.map((name) => `${name}=${labels[name]}`).join("\n");
  return html`<tr aria-rowindex=${number} onClick=${(event: MouseEvent) => open(event, row.id)}>
    <td class="col-state"><${StateBadge} state=${row.state} /></td>
    <td class="col-what" title=${all}><b>${row.policy}</b>${row.kind !== "action" && html` <span class="quiet">${say.kind(row.kind)}</span>`}
      <span class="labels">${shown.slice(0, LABEL_COUNT).map((name) => html`<span class="label"><b>${name}</b>${labels[name]}</span>`)}</span></td>
    <td class="col-why" title=${say.of(row.sentence)}><span>${say.of(row.sentence)}</span></td>
    <td class="col-when"><${When} at=${row.at} /></td>
    <td class="col-id"><${InstanceLink} id=${row.id} /></td>
  </tr>` as VNode;
}

/** The whole row leads where its link does, unless somebody selects text. */
function open(event: MouseEvent, id: string): void {
  if ((event.target as HTMLElement).closest("a") !== null || String(getSelection()) !== "") return;
  location.hash = hrefOf(["instances", id]);
}

/** Arrow keys go from row to row. */
function moveFocus(event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (step === 0) return;
  const links = Array.from((event.currentTarget as HTMLElement).querySelectorAll<HTMLAnchorElement>("a.id"));
  const next = links[links.indexOf(document.activeElement as HTMLAnchorElement) + step];
  if (next === undefined) return;
  event.preventDefault();
  next.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

type Change = (more: Partial<Record<keyof Filters, string>>) => void;

function FilterBar({ filters }: { filters: Filters }): VNode {
  const say = useWords();
  const { reasons } = useSession();
  const { value } = useData<{ policies: readonly Policy[] }>("/v1/policies", { isFixed: true });
  const policies = (value?.policies ?? []).map(({ name }): [string, string] => [name, name]);
  const change: Change = (more) => replacePlace(hrefOf(["instances"], { ...filters, ...more }));
  const states = STATES.map((state): [string, string] => [state, say.state(state)]);
  const why = Object.entries(reasons).map(([code, text]): [string, string] => [code, say.of(text)]);
  const since = SINCE.map(([text, word]): [string, string] => [text, say(word)]);
  const isFiltered = FILTERS.some((name) => filters[name] !== "");
  return html`<form class="filters" onSubmit=${(event: Event) => event.preventDefault()}>
    <${Typed} filters=${filters} onChange=${change} />
    <${Choice} name="state" all=${states} filters=${filters} onChange=${change} />
    <${Choice} name="policy" all=${policies} filters=${filters} onChange=${change} />
    <${Choice} name="reason" all=${why} filters=${filters} onChange=${change} />
    <${Choice} name="since" all=${since} filters=${filters} onChange=${change} any="anyTime" />
    ${
      filters.group !== "" &&
      html`<span class="chip"><span title=${filters.group}>${say("group")} <code>${filters.group}</code></span>
      <button type="button" aria-label=${`${say("group")}: ${say("remove")}`} onClick=${() => change({ group: "" })}>×</button></span>`
    }
    ${isFiltered && html`<a class="clear" href=${hrefOf(["instances"])}>${say("clear")}</a>`}
  </form>` as VNode;
}

type ChoiceProps = {
  readonly name: "state" | "policy" | "reason" | "since";
  readonly all: readonly (readonly [string, string])[];
  readonly any?: Word;
  readonly filters: Filters;
  readonly onChange: Change;
};

function Choice({ name, all, any = "any", filters, onChange }: ChoiceProps): VNode {
  const say = useWords();
  const value = filters[name];
  // An address may name what the list does not have, such as a policy that is gone or a time.
  const options = value === "" || all.some(([one]) => one === value) ? all : [...all, [value, value] as const];
  return html`<label>${say(name)}
    <select value=${value} class=${value === "" ? "" : "is-set"} onChange=${(event: Event) => onChange({ [name]: (event.target as HTMLSelectElement).value })}>
      <option value="">${say(any)}</option>
      ${options.map(([one, text]) => html`<option value=${one} selected=${one === value}>${text}</option>`)}
    </select></label>` as VNode;
}

function Typed({ filters, onChange }: { filters: Filters; onChange: Change }): VNode {
  const say = useWords();
  const asked = filters.labels === "" ? filters.text : filters.labels;
  const [text, setText] = useState(asked);
  useEffect(() => setText(asked), [asked]);
  useEffect(() => {
    if (text.trim() === asked) return;
    const timer = setTimeout(() => onChange(searchQuery(text)), TYPED_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<label class="typed">${say("search")}
    <input type="search" placeholder=${say("searchExample")} value=${text} onInput=${(event: Event) => setText((event.target as HTMLInputElement).value)} /></label>` as VNode;
}
