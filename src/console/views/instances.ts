/** Instances, newest first. Every filter is in the address; the list follows what is committed. */
import type { VNode } from "preact";
import { useEffect, useMemo, useState } from "preact/hooks";
import { get, type InstanceRow, type Policy } from "../api.ts";
import { useData } from "../data.ts";
import { html } from "../html.ts";
import { Failure, InstanceLink, LabelList, Loading, StateBadge, When } from "../parts.ts";
import { hrefOf, type Place, replacePlace } from "../route.ts";
import { useWords } from "../words.ts";

type Page = { readonly instances: readonly InstanceRow[]; readonly next: string | null };

const STATES = ["Idle", "Processing", "Proceeding", "Success", "Failed", "Defense", "Waiting", "Skipped"];
const FILTERS = ["state", "policy", "group", "label", "reason", "since"] as const;
const PAGE_COUNT = 50;
const TYPED_MS = 300;

type Filters = Readonly<Record<(typeof FILTERS)[number], string>>;

function filtersOf(place: Place): Filters {
  return Object.fromEntries(FILTERS.map((name) => [name, place.query.get(name) ?? ""])) as Filters;
}

function pathOf(filters: Filters, cursor?: string): string {
  const query = new URLSearchParams({ limit: String(PAGE_COUNT) });
  for (const name of FILTERS) if (filters[name] !== "") query.set(name, filters[name]);
  if (cursor !== undefined) query.set("cursor", cursor);
  return `/v1/instances?${query}`;
}

export function InstancesView({ place }: { place: Place }): VNode {
  const say = useWords();
  const filters = filtersOf(place);
  const path = pathOf(filters);
  const { value: page, error } = useData<Page>(path);
  const older = useOlder(path, page?.next ?? null, filters);
  const rows = [...(page?.instances ?? []), ...older.rows];
  return html`<section aria-labelledby="instances">
    <h1 id="instances">${say("instances")}</h1>
    <${FilterBar} filters=${filters} />
    <${Failure} error=${error} />
    ${page === null && error === null && html`<${Loading} />`}
    ${page !== null && rows.length === 0 && html`<p class="quiet">${say("noMatch")}</p>`}
    ${
      rows.length > 0 &&
      html`<div class="scroll"><table class="rows">
      <thead><tr>
        <th scope="col">${say("state")}</th><th scope="col">${say("policy")}</th><th scope="col">${say("labels")}</th>
        <th scope="col">${say("reason")}</th><th scope="col">${say("when")}</th><th scope="col"><span class="unseen">ID</span></th>
      </tr></thead>
      <tbody onKeyDown=${moveFocus}>${rows.map((row) => html`<${Row} key=${row.id} row=${row} />`)}</tbody>
    </table></div>`
    }
    ${older.next !== null && html`<p><button type="button" onClick=${older.load}>${say("more")}</button></p>`}
  </section>` as VNode;
}

function Row({ row }: { row: InstanceRow }): VNode {
  const say = useWords();
  if (row.quarantined)
    return html`<tr><td><span class="state state-failed">?</span></td><td colspan="4">${row.error}</td><td><${InstanceLink} id=${row.id} /></td></tr>` as VNode;
  return html`<tr>
    <td><${StateBadge} state=${row.state} /></td>
    <td>${row.policy}${row.kind !== "action" && html` <span class="quiet">${row.kind}</span>`}</td>
    <td><${LabelList} alert=${row.alert} count=${5} /></td>
    <td class="sentence">${say.of(row.sentence)}</td>
    <td><${When} at=${row.at} /></td>
    <td><${InstanceLink} id=${row.id} /></td>
  </tr>` as VNode;
}

/** Arrow keys go from row to row. */
function moveFocus(event: KeyboardEvent): void {
  const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
  if (step === 0) return;
  const links = Array.from((event.currentTarget as HTMLElement).querySelectorAll<HTMLAnchorElement>("a.id"));
  const next = links[links.indexOf(document.activeElement as HTMLAnchorElement) + step];
  if (next === undefined) return;
  event.preventDefault();
  next.focus();
}

function FilterBar({ filters }: { filters: Filters }): VNode {
  const say = useWords();
  const { value } = useData<{ policies: readonly Policy[] }>("/v1/policies");
  const policies = (value?.policies ?? []).map(({ name }) => name);
  const change = (name: keyof Filters, text: string) =>
    replacePlace(hrefOf(["instances"], { ...filters, [name]: text }));
  const select = (name: "state" | "policy", all: readonly string[]) => html`<label>${say(name)}
    <select value=${filters[name]} onChange=${(event: Event) => change(name, (event.target as HTMLSelectElement).value)}>
      <option value="">${say("any")}</option>
      ${all.map((one) => html`<option value=${one}>${one}</option>`)}
    </select></label>`;
  return html`<form class="filters" onSubmit=${(event: Event) => event.preventDefault()}>
    ${select("state", STATES)} ${select("policy", policies)}
    <${Typed} name="label" filters=${filters} onChange=${change} />
    ${
      filters.group !== "" &&
      html`<span class="chip"><span>${say("group")} <code>${filters.group.slice(0, 40)}</code></span>
      <button type="button" aria-label=${`${say("group")}: ${say("cancel")}`} onClick=${() => change("group", "")}>×</button></span>`
    }
    ${
      filters.reason !== "" &&
      html`<span class="chip"><span>${say("reason")} <code>${filters.reason}</code></span>
      <button type="button" aria-label=${`${say("reason")}: ${say("cancel")}`} onClick=${() => change("reason", "")}>×</button></span>`
    }
    <label>${say("since")} <input type="datetime-local" value=${localText(filters.since)}
      onChange=${(event: Event) => change("since", isoText((event.target as HTMLInputElement).value))} /></label>
  </form>` as VNode;
}

function Typed({
  name,
  filters,
  onChange,
}: {
  name: "label";
  filters: Filters;
  onChange: (name: "label", text: string) => void;
}): VNode {
  const say = useWords();
  const [text, setText] = useState(filters[name]);
  useEffect(() => setText(filters[name]), [filters[name]]);
  useEffect(() => {
    if (text === filters[name]) return;
    const timer = setTimeout(() => onChange(name, text), TYPED_MS);
    return () => clearTimeout(timer);
  }, [text]);
  return html`<label>${say("labels")} <input type="search" placeholder=${say("label")} value=${text}
    onInput=${(event: Event) => setText((event.target as HTMLInputElement).value)} /></label>` as VNode;
}

function localText(iso: string): string {
  if (iso === "") return "";
  const date = new Date(iso);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

function isoText(local: string): string {
  return local === "" ? "" : new Date(local).toISOString();
}

/** Pages behind the first: read once, for they are the past. */
function useOlder(path: string, first: string | null, filters: Filters) {
  const [pages, setPages] = useState<readonly Page[]>([]);
  useEffect(() => setPages([]), [path]);
  const next = pages.length === 0 ? first : (pages.at(-1)?.next ?? null);
  const rows = useMemo(() => pages.flatMap(({ instances }) => instances), [pages]);
  const load = async () => {
    if (next === null) return;
    const page = await get<Page>(pathOf(filters, next));
    setPages((before) => [...before, page]);
  };
  return { rows, next, load };
}
