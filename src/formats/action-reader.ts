import {
  ACTION_TIMEOUT_MS_DEFAULT,
  ACTION_TIMEOUT_MS_MAX,
  EXEC_ARGUMENT_COUNT_MAX,
  WEBHOOK_HEADER_COUNT_MAX,
} from "../model/limits.ts";
import type { Action } from "../policy/policy.ts";
import {
  describe,
  type Field,
  type Fields,
  type MistakeReport,
  readDuration,
  readFields,
  readList,
  readMapFields,
  readText,
} from "./field-reader.ts";
import { POLICY_FILE_KEYS } from "./policy-keys.ts";

const KINDS = POLICY_FILE_KEYS.action;

/** What a policy does: a map with exactly one of the four kinds. */
export function readAction(field: Field, report: MistakeReport): Action | undefined {
  const expected = `exactly one of ${KINDS.join(", ")}`;
  if (field.value?.kind !== "map") return report.add(field, `${expected}, such as { log: {} }`, describe(field.value));
  const fields = readFields(field, KINDS, report);
  const kinds = KINDS.filter((kind) => fields?.get(kind).value !== undefined);
  if (fields === undefined) return undefined;
  const [action] = kinds.map((kind) => READERS[kind](fields.get(kind), report));
  if (kinds.length === 1) return action;
  return report.add(field, expected, kinds.length === 0 ? "none of them" : kinds.join(" and "));
}

const READERS: Record<Action["kind"], (field: Field, report: MistakeReport) => Action | undefined> = {
  log: readLog,
  webhook: readWebhook,
  exec: readExec,
  handler: readHandler,
};

function readLog(field: Field, report: MistakeReport): Action | undefined {
  // `log:` with nothing behind it is YAML's null, and means what it looks like.
  const isBare = field.value?.kind === "scalar" && field.value.value === null;
  return isBare || readFields(field, POLICY_FILE_KEYS.log, report) !== undefined ? { kind: "log" } : undefined;
}

function readWebhook(field: Field, report: MistakeReport): Action | undefined {
  const fields = readFields(field, POLICY_FILE_KEYS.webhook, report);
  if (fields === undefined) return undefined;
  const url = readUrl(fields.get("url"), report);
  const timeoutMs = readTimeout(fields, report);
  const headers = readHeaders(fields.get("headers"), report);
  if (url === undefined || timeoutMs === undefined || headers === undefined) return undefined;
  return { kind: "webhook", url, timeoutMs, headers };
}

function readUrl(field: Field, report: MistakeReport): string | undefined {
  const expected = "an http:// or https:// URL";
  const text = readText(field, report, expected);
  if (text === undefined) return undefined;
  const isHttp = URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);
  return isHttp ? text : report.add(field, expected, describe(field.value));
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

function readExec(field: Field, report: MistakeReport): Action | undefined {
  const fields = readFields(field, POLICY_FILE_KEYS.exec, report);
  if (fields === undefined) return undefined;
  const command = readCommand(fields.get("command"), report);
  const timeoutMs = readTimeout(fields, report);
  return command === undefined || timeoutMs === undefined ? undefined : { kind: "exec", command, timeoutMs };
}

function readCommand(field: Field, report: MistakeReport): string[] | undefined {
  const expected = 'a program and its arguments as a list, such as ["/usr/bin/clean", "--all"] (no shell runs it)';
  const items = readList(field, report, { expected, countMax: EXEC_ARGUMENT_COUNT_MAX });
  if (items === undefined) return undefined;
  if (items.length === 0) return report.add(field, expected, describe(field.value));
  const texts = items.map((item, i) => readArgument(item, report, i === 0));
  return texts.every((text) => text !== undefined) ? texts : undefined;
}

function readArgument(field: Field, report: MistakeReport, isProgram: boolean): string | undefined {
  const { value } = field;
  if (!isProgram && value?.kind === "scalar" && value.value === "") return "";
  const text = readText(field, report, isProgram ? "the program's path" : "an argument as text (quote numbers)");
  return text?.includes("\0") ? report.add(field, "text without NUL", describe(value)) : text;
}

function readHandler(field: Field, report: MistakeReport): Action | undefined {
  const fields = readFields(field, POLICY_FILE_KEYS.handler, report);
  if (fields === undefined) return undefined;
  const name = readText(fields.get("name"), report, "the name of a handler that the program registers");
  const timeoutMs = readTimeout(fields, report);
  return name === undefined || timeoutMs === undefined ? undefined : { kind: "handler", name, timeoutMs };
}

/** How long one attempt may take. */
function readTimeout(fields: Fields<"timeout">, report: MistakeReport): number | undefined {
  const field = fields.get("timeout");
  if (field.value === undefined) return ACTION_TIMEOUT_MS_DEFAULT;
  return readDuration(field, { minMs: 1, maxMs: ACTION_TIMEOUT_MS_MAX }, report);
}
