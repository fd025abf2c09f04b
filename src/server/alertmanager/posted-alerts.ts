/**
 * The body of `POST /api/v2/alerts`, checked as Alertmanager checks it: first the schema of the whole body, where one
 * mistake refuses all of it, then each alert, where the good ones are taken. Pure.
 */
import { LABEL_NAME_BYTES_MAX } from "../../model/limits.ts";
import { isZeroTime, parseTimestamp } from "../../model/timestamp.ts";
import { jsonMistake, jsonType, quoted, timeMistake } from "./go-text.ts";
import { INVALID_TYPE, invalidBody, required, unreadable } from "./protocol-refusal.ts";

/** How long an alert without an end is taken to fire. */
export const RESOLVE_TIMEOUT_MS = 300_000;

export type PostedAlert = {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** As it was sent; null: missing or zero. */
  readonly startsAtMs: number | null;
  readonly endsAtMs: number | null;
  readonly generatorURL: string | null;
};

/** In the order of the body. An alert that is refused is the text that says why. */
export type Posted = readonly (PostedAlert | string)[];

type RawObject = Readonly<Record<string, unknown>>;
type Raw = { readonly alert: PostedAlert; readonly place: number };

export function readPosted(text: string, nowMs: number): Posted {
  if (text.trim() === "") throw required("alerts");
  const items = itemsOf(parse(text));
  const alerts = items.map((item, place) => readAlert(item, place));
  for (const [place, item] of items.entries())
    requireValid(item as RawObject, { alert: alerts[place] as PostedAlert, place });
  return alerts.map((alert) => mistakeOf(alert, nowMs) ?? alert);
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw unreadable("alerts", jsonMistake(text));
  }
}

function itemsOf(body: unknown): readonly unknown[] {
  if (body === null) return [];
  if (Array.isArray(body)) return body;
  throw unreadable("alerts", `json: cannot unmarshal ${jsonType(body)} into Go value of type models.PostableAlerts`);
}

function readAlert(item: unknown, place: number): PostedAlert {
  // Alertmanager takes null as an alert and its handler fails; here it is an alert without labels.
  if (item === null) throw required(`${place}.labels`);
  if (typeof item !== "object" || Array.isArray(item))
    throw unreadable("alerts", `json: cannot unmarshal ${jsonType(item)} into Go value of type models.PostableAlert`);
  const raw = item as RawObject;
  return {
    labels: readTexts(raw.labels, "Alert.labels"),
    annotations: readTexts(raw.annotations, "PostableAlert.annotations"),
    startsAtMs: readTime(raw.startsAt),
    endsAtMs: readTime(raw.endsAt),
    generatorURL: readGeneratorUrl(raw.generatorURL),
  };
}

const NO_TEXTS: Readonly<Record<string, string>> = Object.freeze({});

function readTexts(raw: unknown, field: string): Readonly<Record<string, string>> {
  if (raw === undefined || raw === null) return NO_TEXTS;
  if (typeof raw !== "object" || Array.isArray(raw)) throw wrongType(raw, field, "models.LabelSet");
  for (const name of Object.keys(raw)) {
    const value = (raw as RawObject)[name];
    if (typeof value === "string") continue;
    if (value !== null) throw wrongType(value, field, "string");
    return Object.fromEntries(Object.entries(raw).map(([key, one]) => [key, one ?? ""])) as Record<string, string>;
  }
  return raw as Record<string, string>;
}

function wrongType(value: unknown, field: string, type: string): Error {
  return unreadable(
    "alerts",
    `json: cannot unmarshal ${jsonType(value)} into Go struct field ${field} of type ${type}`,
  );
}

/** Epoch milliseconds, or null for none. A time without a zone is UTC; digits below the millisecond are dropped. */
export function readTime(raw: unknown): number | null {
  if (raw === undefined || raw === null) return null;
  if (typeof raw !== "string") throw unreadable("alerts", timeMistake(JSON.stringify(raw)));
  if (isZeroTime(raw)) return null;
  const atMs = parseTimestamp(raw) ?? parseTimestamp(`${raw}Z`);
  if (atMs === null) throw unreadable("alerts", timeMistake(raw));
  return atMs;
}

function readGeneratorUrl(raw: unknown): string | null {
  if (raw === undefined || raw === null || raw === "") return null;
  if (typeof raw === "string") return raw;
  throw wrongType(raw, "Alert.generatorURL", "strfmt.URI");
}

/** An absolute URL, or an absolute path. */
const REQUEST_URI = /^(?:[a-zA-Z][a-zA-Z0-9+.-]*:|\/)[^\p{Cc}]*$/u;

/** The first mistake of the first alert that has one is the answer. */
function requireValid(item: RawObject, { alert, place }: Raw): void {
  const { generatorURL } = alert;
  if (generatorURL !== null && !REQUEST_URI.test(generatorURL))
    throw invalidBody(INVALID_TYPE, `${place}.generatorURL in body must be of type uri: ${quoted(generatorURL)}`);
  if (item.labels === undefined || item.labels === null) throw required(`${place}.labels`);
}

/** Why an alert is refused, or null. */
function mistakeOf({ labels, annotations, startsAtMs, endsAtMs }: PostedAlert, nowMs: number): string | null {
  const endMs = endsAtMs ?? nowMs + RESOLVE_TIMEOUT_MS;
  if (endMs < (startsAtMs ?? endsAtMs ?? nowMs)) return "start time must be before end time";
  let count = 0;
  for (const name of Object.keys(labels)) {
    if (labels[name] === "") continue;
    if (!isName(name)) return `invalid label set: invalid name ${quoted(name)}`;
    count += 1;
  }
  if (count === 0) return "at least one label pair required";
  for (const name of Object.keys(annotations))
    if (!isName(name)) return `invalid annotations: invalid name ${quoted(name)}`;
  return null;
}

/** Any text in UTF-8, as Alertmanager takes it since 0.28. */
function isName(name: string): boolean {
  return name !== "" && name.length <= LABEL_NAME_BYTES_MAX;
}
