import { EXEC_ARGUMENT_COUNT_MAX } from "../model/limits.ts";
import type { Action } from "../policy/policy.ts";
import { describe, type Field, type MistakeReport, readFields, readList, readText } from "./field-reader.ts";
import { POLICY_FILE_KEYS } from "./policy-keys.ts";
import { readTimeout } from "./timeout-reader.ts";
import { readWebhook } from "./webhook-reader.ts";

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
