import { LABEL_VALUE_BYTES_MAX } from "../../model/limits.ts";
import { exceedsUtf8Bytes } from "../../model/utf8.ts";
import type { ParseOptions, RecordParser } from "../records/record.ts";
import { at, createRecordParser, type FieldPath, fieldPath } from "../records/record.ts";
import type { Rejection, StateEvent } from "../records/record-types.ts";
import { isRejection, reject } from "../records/record-value.ts";
import { labelText } from "./detected-alert.ts";
import type { FieldFilter } from "./strategy.ts";
import { recordQueryOf } from "./strategy.ts";
import type { StrategyGroup } from "./strategy-group.ts";

/**
 * What becomes of one raw record: an event for each group whose filter it passes, or the reason of the first that
 * refuses it.
 */
export type Routed = {
  readonly events: readonly { readonly group: StrategyGroup; readonly event: StateEvent }[];
  readonly rejection: Rejection | null;
};

export type RecordRouter = (raw: unknown, options?: ParseOptions) => Routed;

const UNMATCHED: Routed = { events: [], rejection: null };

type Route = {
  readonly group: StrategyGroup;
  readonly filter: readonly (readonly [FieldPath, FieldFilter])[];
  readonly parse: RecordParser;
};

/**
 * Gives raw records to the groups whose filters they pass. A record that passes none is nobody's: no events, no
 * rejection.
 */
export function createRecordRouter(groups: readonly StrategyGroup[]): RecordRouter {
  const routes = groups.map((group): Route => {
    const filter = Object.entries(group.query.filter).map(([name, test]) => [fieldPath(name), test] as const);
    return { group, filter, parse: createRecordParser(recordQueryOf(group.query)) };
  });
  return (raw, options) => route(routes, raw, options);
}

function route(routes: readonly Route[], raw: unknown, options: ParseOptions | undefined): Routed {
  if (typeof raw !== "object" || raw === null || Array.isArray(raw))
    return { events: [], rejection: reject("record_not_an_object", null) };
  const events: { group: StrategyGroup; event: StateEvent }[] = [];
  let rejection: Rejection | null = null;
  for (const { group, filter, parse } of routes) {
    if (!passes(filter, raw as Readonly<Record<string, unknown>>)) continue;
    const event = parse(raw, options);
    const refusal = isRejection(event) ? event : tooLongDimension(event);
    if (refusal !== null) rejection ??= refusal;
    else events.push({ group, event: event as StateEvent });
  }
  return events.length === 0 && rejection === null ? UNMATCHED : { events, rejection };
}

/** What could not be an alert's label is refused here, where its record is known, and not when an alert is sent. */
function tooLongDimension({ dimensions, dimensionFields }: StateEvent): Rejection | null {
  for (const field of dimensionFields) {
    if (exceedsUtf8Bytes(labelText(dimensions[field]), LABEL_VALUE_BYTES_MAX))
      return reject("dimension_too_long", field, dimensions[field]);
  }
  return null;
}

/** Compared as text: a CSV has nothing else, and JSON's 1 is its `1`. */
function passes(filter: Route["filter"], record: Readonly<Record<string, unknown>>): boolean {
  return filter.every(([field, test]) => {
    const value = at(record, field);
    if (typeof test === "string") return isText(value, test);
    return "in" in test ? test.in.some((text) => isText(value, text)) : !test.notIn.some((text) => isText(value, text));
  });
}

/** Only scalars: a map from JSON may have a field `toString` that is not a function. */
function isText(value: unknown, text: string): boolean {
  return value === text || ((typeof value === "number" || typeof value === "boolean") && String(value) === text);
}
