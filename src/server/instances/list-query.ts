/** What a list is asked for: filters in the address, checked as the library checks its own. */
import { validateListFilter } from "../../engine-options.ts";
import { nearestName } from "../../formats/nearest-name.ts";
import { parseDuration } from "../../model/duration.ts";
import { INSTANCE_STATES } from "../../model/instance-types.ts";
import { LIST_PAGE_COUNT_MAX } from "../../model/limits.ts";
import type { Listed, ListFilter } from "../../runtime/instance-reader.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import type { Ctx, Parameter } from "../http/route.ts";
import type { InstancePorts } from "./ports.ts";

/** A request looks at no more rows: a page may then be short, or empty, and `next` goes on. */
export const LOOKED_AT_COUNT_MAX = 10_000;

export const PAGE_QUERY: readonly Parameter[] = [
  { name: "policy", what: "only those of this policy" },
  { name: "limit", what: `at most this many, 1 to ${LIST_PAGE_COUNT_MAX}`, type: "integer" },
  { name: "cursor", what: "`next` of an earlier page" },
];

export const LIST_QUERY: readonly Parameter[] = [
  { name: "state", what: `one of ${INSTANCE_STATES.join(", ")}` },
  { name: "group", what: "only those of this group" },
  { name: "reason", what: "only those that are where they are for this reason, such as limit_reached" },
  { name: "labels", what: 'only those of alerts that these matchers match: cluster="core",host=~"web.*"' },
  { name: "text", what: "only those of alerts with this text in a label's value, in upper or lower case" },
  { name: "since", what: "only those created since: a time (2026-11-23T06:00:00Z), or how long ago (6h)" },
  { name: "quarantined", what: "only those whose checkpoints cannot be read", type: "boolean" },
  ...PAGE_QUERY,
];

const TEXTS = ["state", "policy", "group", "reason", "labels", "text", "cursor"] as const;
const NAME_CHARS_MAX = 100;
const DURATION = /^(\d+[a-z]+)+$/;

/** A filter that is empty is not given. One that is not known is refused: without it the list would show too much. */
export function filterOf(c: Ctx, nowMs: number): ListFilter {
  const query = new URL(c.req.url).searchParams;
  requireKnown([...query.keys()]);
  const filter: Record<string, unknown> = {};
  for (const name of TEXTS) {
    const value = query.get(name);
    if (value !== null && value !== "") filter[name] = value;
  }
  const since = query.get("since");
  if (since !== null && since !== "") filter["since"] = DURATION.test(since) ? nowMs - parseDuration(since) : since;
  const limit = query.get("limit");
  if (limit !== null) filter["limit"] = Number(limit);
  if (query.get("quarantined") === "true") filter["quarantined"] = true;
  validateListFilter(filter);
  return filter;
}

function requireKnown(names: readonly string[]): void {
  const known = LIST_QUERY.map(({ name }) => name);
  const unknown = names.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  const nearest = nearestName(unknown, known);
  const hint = nearest === null ? `It has ${known.join(", ")}.` : `Did you mean ${nearest}?`;
  const why = `A list has no filter ${JSON.stringify(unknown.slice(0, NAME_CHARS_MAX))}. ${hint}`;
  throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why });
}

export async function listed({ reader }: Pick<InstancePorts, "reader">, filter: ListFilter): Promise<Listed> {
  return (await reader()).list(filter, { rowsMax: LOOKED_AT_COUNT_MAX });
}
