import { messageOf } from "../model/errors.ts";
import {
  APPROVAL_TIMEOUT_MS_DEFAULT,
  APPROVAL_TIMEOUT_MS_MAX,
  MATCHER_COUNT_MAX,
  POLICY_COUNT_MAX,
  RETRY_BACKOFF_DEFAULT,
  RETRY_BACKOFF_MAX,
  RETRY_DELAY_MS_DEFAULT,
  RETRY_DELAY_MS_MAX,
  RETRY_LIMIT_DEFAULT,
  RETRY_LIMIT_MAX,
  SILENCE_COUNT_MAX,
} from "../model/limits.ts";
import type { Retry } from "../model/retry.ts";
import { parseTimestamp } from "../model/timestamp.ts";
import { type Matcher, matchesEmptyText, parseMatchers } from "../policy/matcher.ts";
import { type Policy, type PolicySet, policyVersion, type Silence } from "../policy/policy.ts";
import { readAction } from "./action-reader.ts";
import { readConverge } from "./converge-reader.ts";
import {
  describe,
  type Field,
  type MistakeReport,
  readDuration,
  readFields,
  readList,
  readNumber,
  readText,
  readWord,
} from "./field-reader.ts";
import type { Located } from "./located-value.ts";
import { POLICY_FILE_KEYS } from "./policy-keys.ts";
import { readLimits, readPolicyOptions, readQuorum } from "./policy-options-reader.ts";
import { reportTemplates } from "./template-reader.ts";

/** What a policy's name may be: it is part of the ids of groups, which name it before a colon. */
const POLICY_NAME = /^[\p{L}\p{N}][\p{L}\p{N}._-]{0,99}$/u;

/** Reads a whole file; what the report lists makes the result incomplete. */
export function readPolicySet(root: Located, report: MistakeReport): PolicySet {
  const field = { path: "", place: root.place ?? null, value: root };
  const fields = readFields(field, POLICY_FILE_KEYS.file, report);
  if (fields === undefined) return { policies: [], silences: [] };
  const policies = readAll(fields.get("policies"), report, {
    expected: "a list of policies",
    countMax: POLICY_COUNT_MAX,
    read: readPolicy,
  });
  const silencesField = fields.get("silences");
  const silences =
    silencesField.value === undefined || isNull(silencesField.value)
      ? []
      : readAll(silencesField, report, {
          expected: "a list of silences",
          countMax: SILENCE_COUNT_MAX,
          read: readSilence,
        });
  reportRepeatedNames(fields.get("policies"), report);
  const limits = readLimits(fields.get("limits"), report) ?? null;
  return { policies, silences, ...(limits === null ? {} : { limits }) };
}

function isNull(value: Located): boolean {
  return value.kind === "scalar" && value.value === null;
}

type ListOf<Item> = {
  readonly expected: string;
  readonly countMax: number;
  read(field: Field, report: MistakeReport): Item | undefined;
};

function readAll<Item>(field: Field, report: MistakeReport, list: ListOf<Item>): Item[] {
  const items = readList(field, report, list) ?? [];
  return items.map((item) => list.read(item, report)).filter((item) => item !== undefined);
}

function readPolicy(field: Field, report: MistakeReport): Policy | undefined {
  const fields = readFields(field, POLICY_FILE_KEYS.policy, report);
  if (fields === undefined) return undefined;
  const name = readName(fields.get("name"), report);
  const match = readMatch(fields.get("match"), report);
  const action = readAction(fields.get("action"), report);
  const converge = readConverge(fields.get("converge"), report);
  const retry = readRetry(fields.get("retry"), report);
  const approval = readApproval(fields.get("approval"), report);
  const onResolved = readOnResolved(fields.get("on_resolved"), report);
  const options = readPolicyOptions(fields, report);
  if (name === undefined || match === undefined || action === undefined || converge === undefined) return undefined;
  if (retry === undefined || approval === undefined || onResolved === undefined) return undefined;
  if (options === undefined) return undefined;
  const policy = { name, match, action, converge, retry, approval, onResolved, ...options };
  reportTemplates(policy, fields, report);
  return { ...policy, version: policyVersion(policy) };
}

function readName(field: Field, report: MistakeReport): string | undefined {
  const expected = "a name of letters, digits, `.`, `_` and `-`, at most 100, the first a letter or digit";
  const name = readText(field, report, expected);
  return name === undefined || POLICY_NAME.test(name) ? name : report.add(field, expected, describe(field.value));
}

/**
 * Names are compared before anything else about a policy is right, so that two bad policies of one name are told too.
 */
function reportRepeatedNames(field: Field, report: MistakeReport): void {
  const firstPaths = new Map<string, string>();
  const items = field.value?.kind === "list" ? field.value.items : [];
  for (const [i, item] of items.entries()) {
    const name = item.kind === "map" ? item.entries.get("name")?.value : undefined;
    if (name?.kind !== "scalar" || typeof name.value !== "string") continue;
    const path = `${field.path}[${i}].name`;
    const firstPath = firstPaths.get(name.value);
    if (firstPath === undefined) firstPaths.set(name.value, path);
    else
      report.add(
        { path, place: name.place },
        "a name that no other policy has",
        `${JSON.stringify(name.value)}, as ${firstPath}`,
      );
  }
}

/** A list of texts in Alertmanager's syntax, or a single one; each may hold several matchers. */
function readMatch(field: Field, report: MistakeReport): Matcher[] | undefined {
  const expected = `a list of matchers such as ['severity="critical"'] ([] matches every alert)`;
  const isText = field.value?.kind === "scalar" && typeof field.value.value === "string";
  const items = isText ? [field] : readList(field, report, { expected, countMax: MATCHER_COUNT_MAX });
  const lists = items?.map((item) => readMatchers(item, report));
  if (lists === undefined || !lists.every((list) => list !== undefined)) return undefined;
  const matchers = lists.flat();
  if (matchers.length > MATCHER_COUNT_MAX)
    return report.add(field, `at most ${MATCHER_COUNT_MAX} matchers`, `${matchers.length}`);
  return matchers;
}

function readMatchers(field: Field, report: MistakeReport): Matcher[] | undefined {
  const expected = `a matcher such as severity="critical"`;
  const text = readText(field, report, expected);
  if (text === undefined) return undefined;
  try {
    return parseMatchers(text);
  } catch (error) {
    return report.add(field, expected, messageOf(error));
  }
}

function readRetry(field: Field, report: MistakeReport): Retry | undefined {
  const defaults = { limit: RETRY_LIMIT_DEFAULT, delayMs: RETRY_DELAY_MS_DEFAULT, backoff: RETRY_BACKOFF_DEFAULT };
  if (field.value === undefined) return defaults;
  const fields = readFields(field, POLICY_FILE_KEYS.retry, report);
  if (fields === undefined) return undefined;
  const limitField = fields.get("limit");
  const delayField = fields.get("delay");
  const backoffField = fields.get("backoff");
  const limit =
    limitField.value === undefined
      ? defaults.limit
      : readNumber(limitField, { min: 0, max: RETRY_LIMIT_MAX, isWhole: true }, report);
  const delayMs =
    delayField.value === undefined
      ? defaults.delayMs
      : readDuration(delayField, { minMs: 0, maxMs: RETRY_DELAY_MS_MAX }, report);
  const backoff =
    backoffField.value === undefined
      ? defaults.backoff
      : readNumber(backoffField, { min: 1, max: RETRY_BACKOFF_MAX, isWhole: false }, report);
  return limit === undefined || delayMs === undefined || backoff === undefined
    ? undefined
    : { limit, delayMs, backoff };
}

function readApproval(field: Field, report: MistakeReport): Policy["approval"] | undefined {
  const defaults = { timeoutMs: APPROVAL_TIMEOUT_MS_DEFAULT, notify: { kind: "log" } as const };
  if (field.value === undefined) return defaults;
  const fields = readFields(field, POLICY_FILE_KEYS.approval, report);
  if (fields === undefined) return undefined;
  const timeout = fields.get("timeout");
  const notifyField = fields.get("notify");
  const timeoutMs =
    timeout.value === undefined
      ? defaults.timeoutMs
      : readDuration(timeout, { minMs: 1, maxMs: APPROVAL_TIMEOUT_MS_MAX }, report);
  const notify = notifyField.value === undefined ? defaults.notify : readAction(notifyField, report);
  const quorum = readQuorum(fields.get("quorum"), report);
  if (timeoutMs === undefined || notify === undefined || quorum === undefined) return undefined;
  return { timeoutMs, notify, ...(quorum > 1 ? { quorum } : {}) };
}

function readOnResolved(field: Field, report: MistakeReport): Policy["onResolved"] | undefined {
  return field.value === undefined ? "skip" : readWord(field, ["skip", "keep"] as const, report);
}

function readSilence(field: Field, report: MistakeReport): Silence | undefined {
  const fields = readFields(field, POLICY_FILE_KEYS.silence, report);
  if (fields === undefined) return undefined;
  const match = readSilenceMatch(fields.get("match"), report);
  const fromMs = readInstant(fields.get("from"), report);
  const toMs = readInstant(fields.get("to"), report);
  const author = readText(fields.get("author"), report, "who silences");
  const comment = readText(fields.get("comment"), report, "why, for whoever reads the audit trail");
  if (fromMs !== undefined && toMs !== undefined && toMs <= fromMs) {
    return report.add(fields.get("to"), "a time after `from`", describe(fields.get("to").value));
  }
  if (match === undefined || fromMs === undefined || toMs === undefined) return undefined;
  return author === undefined || comment === undefined ? undefined : { match, fromMs, toMs, author, comment };
}

/**
 * If every matcher matches the empty text, the silence covers alerts that it never names, most likely by mistake.
 * Alertmanager refuses such a silence too.
 */
function readSilenceMatch(field: Field, report: MistakeReport): Matcher[] | undefined {
  const match = readMatch(field, report);
  if (match === undefined || !match.every(matchesEmptyText)) return match;
  const expected = `at least one matcher that does not match the empty text (alertname=~".+" silences everything)`;
  return report.add(
    field,
    expected,
    match.length === 0 ? describe(field.value) : "only such as match alerts without the label",
  );
}

function readInstant(field: Field, report: MistakeReport): number | undefined {
  const value = field.value?.kind === "scalar" ? field.value.value : undefined;
  const atMs = typeof value === "string" ? parseTimestamp(value) : null;
  return atMs ?? report.add(field, "a time such as 2026-11-23T06:00:00Z", describe(field.value));
}
