/** A policy's rule as a sentence of people: "at most 3 per cluster=core in 10m". */
import type { ConvergenceFunction, ConvergenceRule, DimensionValue } from "../model/convergence-rule.ts";
import { formatDuration } from "../model/duration.ts";
import type { Sentence } from "./sentences.ts";

type Parts = { readonly count: number; readonly per: string; readonly window: string };

const ENGLISH: Readonly<Record<ConvergenceFunction, (parts: Parts) => string>> = {
  skip_when_exceed: ({ count, per, window }) => `at most ${count}${per} in ${window}; the others are skipped`,
  defense: ({ count, per, window }) => `at most ${count}${per} in ${window}; a person decides about the others`,
  collect: ({ count, per, window }) => `at most ${count}${per} in ${window}; the others go into one summary`,
  collect_alarm: ({ count, per, window }) =>
    `${fromOn(count, window)}one summary${per} instead of an action for each, for ${window}`,
  trigger: ({ count, per, window }) => `one action${per} when ${count} came within ${window}; none for the others`,
  skip_when_success: ({ count, per, window }) =>
    `${fromOn(count, window)}one success${per} does for all in ${window}; while one is tried, the others wait`,
  approve_when_failed: ({ count, per, window }) =>
    `${fromOn(count, window)}one success${per} does for all in ${window}; if it fails, a person decides`,
  skip_when_proceed: ({ count, per, window }) =>
    `${fromOn(count, window)}one at a time${per}; the others are skipped, for ${window}`,
  wait_when_proceed: ({ count, per, window }) =>
    `${fromOn(count, window)}one at a time${per}; the others wait, for ${window}`,
  relevance: ({ per, window }) => `those${per} within ${window} are related; all run`,
};

const CHINESE: Readonly<Record<ConvergenceFunction, (parts: Parts) => string>> = {
  skip_when_exceed: ({ count, per, window }) => `${window} 内${per}最多执行 ${count} 次，其余跳过`,
  defense: ({ count, per, window }) => `${window} 内${per}最多执行 ${count} 次，其余需要审批`,
  collect: ({ count, per, window }) => `${window} 内${per}最多执行 ${count} 次，其余汇总`,
  collect_alarm: ({ count, per, window }) => `${window} 内${per}达到 ${count} 条后只发送一条汇总`,
  trigger: ({ count, per, window }) => `${window} 内${per}达到 ${count} 条时执行一次，其余跳过`,
  skip_when_success: ({ count, per, window }) => `${window} 内${per}达到 ${count} 条后，有一次成功即可，其余等待`,
  approve_when_failed: ({ count, per, window }) => `${window} 内${per}达到 ${count} 条后，有一次成功即可，失败则需审批`,
  skip_when_proceed: ({ count, per, window }) => `${window} 内${per}达到 ${count} 条后，同时只执行一个，其余跳过`,
  wait_when_proceed: ({ count, per, window }) => `${window} 内${per}达到 ${count} 条后，同时只执行一个，其余等待`,
  relevance: ({ per, window }) => `${window} 内${per}相互关联，全部执行`,
};

/** `labels`: of the alert whose group it is, so that its own values are in the sentence; null: the rule by itself. */
export function ruleText(rule: ConvergenceRule, labels: Readonly<Record<string, string>> | null): Sentence {
  const dimensions = dimensionsText(rule, labels);
  const window = windowText(rule);
  const { count } = rule;
  return {
    en: ENGLISH[rule.function]({ count, window, per: dimensions === "" ? "" : ` per ${dimensions}` }),
    zh: CHINESE[rule.function]({ count, window, per: dimensions === "" ? "" : `每个 ${dimensions} ` }),
  };
}

/**
 * The dimensions that a group is known by, with an alert's own values: `cluster=core, rack in (r1, r2)`. Empty: all are
 * one group.
 */
export function dimensionsText(
  { by = [], where = {} }: ConvergenceRule,
  labels: Readonly<Record<string, string>> | null,
): string {
  const own = by.map((name) => (labels === null ? name : `${name}=${labels[name] || '""'}`));
  const listed = Object.entries(where)
    .filter(([name]) => !by.includes(name))
    .map(([name, values]) => `${name} in (${values.map(valueText).join(", ")})`);
  return [...own, ...listed].join(", ");
}

function valueText(value: DimensionValue): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function windowText({ windowMs, maxWindowMs }: ConvergenceRule): string {
  const window = formatDuration(windowMs);
  return maxWindowMs === undefined || maxWindowMs === windowMs
    ? window
    : `${window} (a group lasts ${formatDuration(maxWindowMs)})`;
}

/** A group opens with the alert that makes their number reach the count. */
function fromOn(count: number, window: string): string {
  return count === 1 ? "" : `from ${count} within ${window} on, `;
}
