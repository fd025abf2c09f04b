/**
 * The fields that every alert format shares, checked by hand: this runs for each alert that arrives, and a schema
 * library costs several times as much. Each reader answers the value or a Rejection.
 */

import { fingerprintOf } from "../model/fingerprint.ts";
import {
  ALERT_BYTES_MAX,
  ANNOTATION_COUNT_MAX,
  ANNOTATION_VALUE_BYTES_MAX,
  GENERATOR_URL_BYTES_MAX,
  LABEL_COUNT_MAX,
  LABEL_NAME_BYTES_MAX,
  LABEL_VALUE_BYTES_MAX,
  TIMESTAMP_AT_MS_MAX,
  TIMESTAMP_AT_MS_MIN,
} from "../model/limits.ts";
import type { Receipt } from "../model/receipt.ts";
import { isZeroTime, parseAlertTime } from "../model/timestamp.ts";
import { exceedsUtf8Bytes } from "../model/utf8.ts";
import { Rejection, type RejectionCode, shown } from "./rejection.ts";

export type RawObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is RawObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

type TextMapKind = {
  readonly code: RejectionCode;
  readonly noun: string;
  readonly countMax: number;
  readonly valueBytesMax: number;
};

const LABELS: TextMapKind = {
  code: "labels",
  noun: "label",
  countMax: LABEL_COUNT_MAX,
  valueBytesMax: LABEL_VALUE_BYTES_MAX,
};
const ANNOTATIONS: TextMapKind = {
  code: "annotations",
  noun: "annotation",
  countMax: ANNOTATION_COUNT_MAX,
  valueBytesMax: ANNOTATION_VALUE_BYTES_MAX,
};

/** A map of texts that was checked, with its size. */
type TextMap = {
  readonly texts: Readonly<Record<string, string>>;
  readonly count: number;
  /** Length of all texts, in UTF-16 units. */
  readonly units: number;
};

const NO_TEXTS: TextMap = { texts: {}, count: 0, units: 0 };

/** Labels: at least one that is not empty. Empty ones are dropped: to Prometheus an empty label is an absent one. */
function readLabels(raw: unknown): TextMap | Rejection {
  const labels = readTextMap(raw, LABELS);
  if (labels instanceof Rejection || labels.count > 0) return labels;
  return new Rejection("labels", "an alert needs at least one label that is not empty");
}

/** Annotations: a map of texts; absent or null is the empty map. */
function readAnnotations(raw: unknown): TextMap | Rejection {
  return raw === null ? NO_TEXTS : readTextMap(raw, ANNOTATIONS);
}

/** Printable ASCII is as many bytes as units, and well formed: nearly all texts of alerts are checked by this alone. */
const ASCII = /^[ -~]*$/;

/** A copy, checked as it is copied: what the caller does to its own map later is no business of ours. */
function readTextMap(raw: unknown, kind: TextMapKind): TextMap | Rejection {
  if (!isObject(raw)) return new Rejection(kind.code, `${kind.noun}s must be an object of texts, got ${shown(raw)}`);
  const texts: Record<string, unknown> = { ...raw };
  let count = 0;
  let units = 0;
  for (const name of Object.keys(texts)) {
    const value = texts[name];
    if (typeof value !== "string")
      return new Rejection(kind.code, `${kind.noun} ${shown(name)} must be text, got ${shown(value)}`);
    if (value === "" && kind === LABELS) {
      delete texts[name];
      continue;
    }
    if (!isOrdinary(name, value, kind)) {
      const tooLong = overLimit(name, value, kind);
      if (tooLong !== null) return tooLong;
      replaceIllFormed(texts, name, value);
    }
    count += 1;
    units += name.length + value.length;
  }
  if (count <= kind.countMax) return { texts: texts as Record<string, string>, count, units };
  return new Rejection("limit", `an alert has at most ${kind.countMax} ${kind.noun}s, got ${count}`);
}

function isOrdinary(name: string, value: string, { valueBytesMax }: TextMapKind): boolean {
  return (
    name.length > 0 &&
    name.length <= LABEL_NAME_BYTES_MAX &&
    value.length <= valueBytesMax &&
    ASCII.test(name) &&
    ASCII.test(value)
  );
}

/** JSON can spell half of a surrogate pair, UTF-8 cannot: it becomes U+FFFD now instead of when a store writes it. */
function replaceIllFormed(texts: Record<string, unknown>, name: string, value: string): void {
  const wellFormedName = wellFormed(name);
  if (wellFormedName !== name) delete texts[name];
  else if (wellFormed(value) === value) return;
  // Assigning `__proto__` would change the object's prototype; as a label it is a property like any other.
  Object.defineProperty(texts, wellFormedName, {
    value: wellFormed(value),
    enumerable: true,
    writable: true,
    configurable: true,
  });
}

function overLimit(name: string, value: string, kind: TextMapKind): Rejection | null {
  if (name === "") return new Rejection(kind.code, `a ${kind.noun}'s name must not be empty`);
  if (exceedsUtf8Bytes(name, LABEL_NAME_BYTES_MAX)) {
    return new Rejection(
      "limit",
      `the ${kind.noun}'s name ${shown(name)} is longer than ${LABEL_NAME_BYTES_MAX} bytes`,
    );
  }
  if (exceedsUtf8Bytes(value, kind.valueBytesMax)) {
    return new Rejection("limit", `${kind.noun} ${shown(name)} is longer than ${kind.valueBytesMax} bytes`);
  }
  return null;
}

const LONE_SURROGATE = /\p{Surrogate}/gu;
const SURROGATE = /[\ud800-\udfff]/;

function wellFormed(text: string): string {
  return SURROGATE.test(text) ? text.replace(LONE_SURROGATE, "\ufffd") : text;
}

/** Alerts that one evaluation of a rule brought have begun at the same time. */
let lastTime: { readonly text: string; readonly atMs: number } = { text: "1970-01-01T00:00:00Z", atMs: 0 };

/** Epoch milliseconds; null when the field is absent, empty or Go's zero time. */
export function readTime(raw: unknown, name: "startsAt" | "endsAt"): number | null | Rejection {
  if (raw === undefined || raw === null || raw === "") return null;
  const code = name === "startsAt" ? "starts_at" : "ends_at";
  if (typeof raw !== "string")
    return new Rejection(code, `${name} must be a time such as 2026-11-23T06:00:00Z, got ${shown(raw)}`);
  const atMs = raw === lastTime.text ? lastTime.atMs : parseAlertTime(raw);
  if (atMs !== null) {
    if (raw !== lastTime.text) lastTime = { text: raw, atMs };
    return checkedTime(atMs, name);
  }
  return isZeroTime(raw)
    ? null
    : new Rejection(code, `${name} must be a time such as 2026-11-23T06:00:00Z, got ${shown(raw)}`);
}

/**
 * Any instant from 1970 to the year 9999 is taken: old and future times are the sender's business, they arm no timer.
 */
export function checkedTime(atMs: number, name: "startsAt" | "endsAt"): number | Rejection {
  if (atMs >= TIMESTAMP_AT_MS_MIN && atMs <= TIMESTAMP_AT_MS_MAX) return atMs;
  return new Rejection(
    name === "startsAt" ? "starts_at" : "ends_at",
    `${name} must lie between the years 1970 and 9999`,
  );
}

/** Only a link for people: whatever is not text is left out. */
function readGeneratorUrl(raw: unknown): string | null | Rejection {
  if (typeof raw !== "string" || raw === "") return null;
  if (raw.length <= GENERATOR_URL_BYTES_MAX && ASCII.test(raw)) return raw;
  if (!exceedsUtf8Bytes(raw, GENERATOR_URL_BYTES_MAX)) return wellFormed(raw);
  return new Rejection("limit", `generatorURL is longer than ${GENERATOR_URL_BYTES_MAX} bytes`);
}

/** What a format knows of a receipt once it has read its times. */
export type ReceiptFacts = Pick<Receipt, "form" | "startsAtMs" | "endsAtMs" | "status">;

/** The receipt that a raw object is. */
export function buildReceipt(raw: RawObject, facts: ReceiptFacts): Receipt | Rejection {
  const labels = readLabels(raw.labels);
  if (labels instanceof Rejection) return labels;
  const annotations = raw.annotations === undefined ? NO_TEXTS : readAnnotations(raw.annotations);
  if (annotations instanceof Rejection) return annotations;
  const generatorURL = raw.generatorURL === undefined ? null : readGeneratorUrl(raw.generatorURL);
  if (generatorURL instanceof Rejection) return generatorURL;
  const { form, startsAtMs, endsAtMs, status } = facts;
  const receipt = {
    labels: labels.texts,
    annotations: annotations.texts,
    startsAtMs,
    endsAtMs,
    status,
    generatorURL,
    fingerprint: fingerprintOf(labels.texts),
    form,
  };
  const units = labels.units + annotations.units + (generatorURL?.length ?? 0);
  if (units <= SURELY_SMALL_UNITS || !exceedsUtf8Bytes(JSON.stringify(receipt), ALERT_BYTES_MAX)) return receipt;
  return new Rejection("limit", `an alert is at most ${ALERT_BYTES_MAX} bytes of JSON`);
}

// JSON spells a UTF-16 unit in at most 6 bytes, so below this many units no exact count is needed.
const SURELY_SMALL_UNITS = Math.floor(ALERT_BYTES_MAX / 8);
