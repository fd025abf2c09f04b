import { WEBHOOK_BODY_BYTES_MAX, WEBHOOK_HEADER_COUNT_MAX, WEBHOOK_SECRET_COUNT_MAX } from "../model/limits.ts";
import { exceedsUtf8Bytes } from "../model/utf8.ts";
import { type Action, type SecretSource, WEBHOOK_METHODS } from "../policy/policy.ts";
import {
  describe,
  type Field,
  type MistakeReport,
  readFields,
  readMapFields,
  readText,
  readWord,
} from "./field-reader.ts";
import type { Located } from "./located-value.ts";
import { POLICY_FILE_KEYS } from "./policy-keys.ts";
import { readTimeout } from "./timeout-reader.ts";

/**
 * One HTTP request an attempt. Whether its templates can be filled is looked at when the whole policy is known
 * (template-reader.ts).
 */
export function readWebhook(field: Field, report: MistakeReport): Action | undefined {
  const fields = readFields(field, POLICY_FILE_KEYS.webhook, report);
  if (fields === undefined) return undefined;
  const url = readUrl(fields.get("url"), report);
  const timeoutMs = readTimeout(fields, report);
  const headers = readHeaders(fields.get("headers"), report);
  const method = orNull(fields.get("method"), (given) => readWord(given, WEBHOOK_METHODS, report));
  const body = orNull(fields.get("body"), (given) => readBody(given, method ?? "POST", report));
  const callback = orNull(fields.get("callback"), (given) => readFlag(given, report));
  const sign = orNull(fields.get("sign"), (given) => readSecret(given, report));
  const secrets = orNull(fields.get("secrets"), (given) => readSecrets(given, report));
  if (url === undefined || timeoutMs === undefined || headers === undefined || method === undefined) return undefined;
  if (body === undefined || callback === undefined || sign === undefined || secrets === undefined) return undefined;
  return {
    kind: "webhook",
    url,
    timeoutMs,
    headers,
    ...(method === null ? {} : { method }),
    ...(body === null ? {} : { body }),
    ...(callback === true ? { callback } : {}),
    ...(sign === null ? {} : { sign }),
    ...(secrets === null ? {} : { secrets }),
  };
}

/** null: the policy does not say it. */
function orNull<T>(field: Field, read: (field: Field) => T | undefined): T | null | undefined {
  return field.value === undefined ? null : read(field);
}

/** Fields may stand behind the host: where a request goes is never an alert's to say. */
function readUrl(field: Field, report: MistakeReport): string | undefined {
  const expected = "an http:// or https:// URL";
  const text = readText(field, report, expected);
  if (text === undefined) return undefined;
  const isHttp = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
  if (!isHttp) return report.add(field, expected, describe(field.value));
  return /^https?:\/\/[^/?#]*\{\{/i.test(text)
    ? report.add(field, "fields behind the host only", describe(field.value))
    : text;
}

const HEADER_NAME = /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/;
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

function readHeaders(field: Field, report: MistakeReport): Record<string, string> | undefined {
  if (field.value === undefined) return {};
  const fields = readMapFields(field, report, "a map of header names and texts");
  if (fields === undefined) return undefined;
  if (fields.size > WEBHOOK_HEADER_COUNT_MAX)
    return report.add(field, `at most ${WEBHOOK_HEADER_COUNT_MAX} headers`, `${fields.size}`);
  const headers: [string, string][] = [];
  for (const [name, value] of fields) {
    const text = readText(value, report, "a header's text");
    if (!HEADER_NAME.test(name)) report.add(value, "a header's name without spaces", JSON.stringify(name));
    else if (text !== undefined && !HEADER_VALUE.test(text))
      report.add(value, "a header's text in one line of Latin-1", describe(value.value));
    else if (text !== undefined) headers.push([name, text]);
  }
  return headers.length === fields.size ? Object.fromEntries(headers) : undefined;
}

function readBody(field: Field, method: string, report: MistakeReport): string | undefined {
  const { value } = field;
  if (method === "GET") return report.add(field, "no body for GET", describe(value));
  const text = value?.kind === "scalar" ? value.value : jsonText(value as Located);
  if (typeof text !== "string") return report.add(field, "a text, a map or a list", describe(value));
  if (!exceedsUtf8Bytes(text, WEBHOOK_BODY_BYTES_MAX)) return text;
  return report.add(field, `at most ${WEBHOOK_BODY_BYTES_MAX} bytes`, `${text.length} characters`);
}

/** A text that is nothing but one `{{ json ... }}` stands for the value itself. */
function jsonText(value: Located): string {
  return JSON.stringify(plainOf(value)).replace(/"(\{\{\s*json\s[^{}"\\]*\}\})"/g, "$1");
}

function plainOf(value: Located): unknown {
  if (value.kind === "scalar") return value.value;
  if (value.kind === "list") return value.items.map(plainOf);
  return Object.fromEntries([...value.entries].map(([key, entry]) => [key, plainOf(entry.value)]));
}

function readFlag(field: Field, report: MistakeReport): boolean | undefined {
  const { value } = field;
  const flag = value?.kind === "scalar" ? value.value : undefined;
  return typeof flag === "boolean" ? flag : report.add(field, "true or false", describe(value));
}

const SECRET_NAME = /^[A-Za-z0-9_-]{1,64}$/;

function readSecrets(field: Field, report: MistakeReport): Record<string, SecretSource> | undefined {
  const fields = readMapFields(field, report, "a map of names, each { file: PATH } or { env: NAME }");
  if (fields === undefined) return undefined;
  if (fields.size > WEBHOOK_SECRET_COUNT_MAX)
    return report.add(field, `at most ${WEBHOOK_SECRET_COUNT_MAX} secrets`, `${fields.size}`);
  const secrets = [...fields].map(([name, value]) => {
    if (SECRET_NAME.test(name)) return [name, readSecret(value, report)] as const;
    report.add(value, "a name of letters, digits, _ and -", JSON.stringify(name));
    return [name, undefined] as const;
  });
  const read = secrets.flatMap(([name, source]) => (source === undefined ? [] : [[name, source] as const]));
  return read.length === secrets.length ? Object.fromEntries(read) : undefined;
}

/** A policy never contains the secret itself: the store keeps every version of a policy. */
function readSecret(field: Field, report: MistakeReport): SecretSource | undefined {
  const expected = "{ file: PATH } or { env: NAME }";
  if (field.value?.kind !== "map") return report.add(field, expected, "something else");
  const fields = readFields(field, POLICY_FILE_KEYS.secret, report);
  if (fields === undefined) return undefined;
  const given = POLICY_FILE_KEYS.secret.filter((key) => fields.get(key).value !== undefined);
  const [key] = given;
  if (key === undefined || given.length > 1)
    return report.add(field, expected, given.length === 0 ? "neither" : "both");
  const text = readText(fields.get(key), report, key === "file" ? "a path" : "the name of a variable");
  if (text === undefined) return undefined;
  return key === "file" ? { file: text } : { env: text };
}
