/** `becalm check`: all mistakes of policy and strategy files, without running anything. */
import { parseDocument } from "yaml";
import type { Strategy } from "../detection/core/strategy.ts";
import { strategyDoubts } from "../detection/core/strategy-doubts.ts";
import type { PolicyMistake } from "../formats/field-reader.ts";
import { parsePolicies } from "../formats/policy-file.ts";
import { parseStrategies } from "../formats/strategy-file.ts";
import { formatDuration } from "../model/duration.ts";
import { BecalmError } from "../model/errors.ts";
import type { Action, Policy, PolicySet } from "../policy/policy.ts";
import { policyWarnings } from "../policy/policy-warnings.ts";
import type { Sentence } from "../present/sentences.ts";
import { count, textTable } from "../present/text-table.ts";
import { checkModel } from "./check-model.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { readText } from "./read-text.ts";
import { type Terminal, tellError } from "./terminal.ts";

/** `model`: explores what the policies can do. `strict`: warnings and what the model finds end with 1. */
export type CheckOptions = {
  readonly files: readonly string[];
  readonly model: boolean;
  readonly strict: boolean;
  readonly machine?: string;
  readonly json: boolean;
};

type Checked = {
  readonly file: string;
  readonly what: Sentence;
  readonly rows: readonly string[][];
  readonly mistakes: readonly PolicyMistake[];
  /** What is allowed and most likely not meant. */
  readonly warnings: readonly string[];
  /** null: the file holds strategies. */
  readonly policySet: PolicySet | null;
};

export async function check(
  terminal: Terminal,
  { files, model, strict, machine, json }: CheckOptions,
): Promise<number> {
  if (files.length === 0) throw usedWrongly("Say what to check: FILE..., or --fleet.");
  if (machine !== undefined) throw usedWrongly("--machine goes with --fleet.");
  terminal.outlivesReader();
  let exitCode: number = EXIT.done;
  for (const file of files) {
    const checked = await readText(file).then((text) => checkText(text, { file, say: terminal.say }), toBecalmError);
    if (checked instanceof BecalmError) {
      exitCode = Math.max(exitCode, tellError(terminal, checked));
      if (json) await terminal.json({ file, ok: false, names: [], mistakes: 0, error: checked.code });
      continue;
    }
    if (checked.mistakes.length > 0) exitCode = Math.max(exitCode, EXIT.failed);
    await (json ? tellJson(terminal, checked) : tellText(terminal, checked));
    const { policySet, mistakes, warnings } = checked;
    const isModelled = model && policySet !== null && mistakes.length === 0;
    const findings = isModelled ? await checkModel(terminal, policySet, { file, json }) : 0;
    if (strict && findings + warnings.length > 0) exitCode = Math.max(exitCode, EXIT.failed);
  }
  return exitCode;
}

/** A file that cannot be read does not keep the others from being checked. */
function toBecalmError(error: unknown): BecalmError {
  if (error instanceof BecalmError) return error;
  throw error;
}

function checkText(text: string, { file, say }: { file: string; say: Terminal["say"] }): Checked {
  if (hasStrategies(text)) {
    const { strategies, mistakes } = parseStrategies(text, { file });
    return {
      file,
      mistakes,
      what: {
        en: count(strategies.length, "strategy", "strategies"),
        zh: `${strategies.length} 条检测策略`,
      },
      rows: strategies.map((one) => strategyRow(one, say)),
      warnings: strategies.flatMap((one) => strategyDoubts(one).map((doubt) => `${one.name}: ${doubt}`)),
      policySet: null,
    };
  }
  const { policySet, mistakes } = parsePolicies(text, { file });
  const { policies, silences } = policySet;
  return {
    file,
    mistakes,
    what: {
      en: `${count(policies.length, "policy", "policies")}, ${count(silences.length, "silence", "silences")}`,
      zh: `${policies.length} 条策略，${silences.length} 条屏蔽`,
    },
    rows: policies.map((one) => policyRow(one, say)),
    warnings: policyWarnings(policySet),
    policySet,
  };
}

/**
 * The one key tells the two kinds of file apart; a text that is not a map is read as a policy file, which says what is
 * wrong with it.
 */
function hasStrategies(text: string): boolean {
  if (!/["']?strategies["']?\s*:/.test(text)) return false;
  try {
    return parseDocument(text, { logLevel: "silent" }).has("strategies");
  } catch {
    return false;
  }
}

function policyRow({ name, match, action, converge }: Policy, say: Terminal["say"]): string[] {
  const by = (converge?.by ?? []).join(", ");
  const rule =
    converge === null
      ? say("no rule: every instance runs", "无规则：每个实例都执行")
      : say(
          `${converge.function} by [${by}] count ${converge.count} in ${formatDuration(converge.windowMs)}`,
          `${converge.function}，维度 [${by}]，数量 ${converge.count}，窗口 ${formatDuration(converge.windowMs)}`,
        );
  const matched = say(count(match.length, "matcher", "matchers"), `${match.length} 个匹配器`);
  return [name, actionText(action), rule, match.length === 0 ? say("every alert", "所有告警") : matched];
}

function actionText(action: Action): string {
  switch (action.kind) {
    case "log":
      return "log";
    case "webhook":
      return `webhook ${new URL(action.url).host}`;
    case "exec":
      return `exec ${action.command[0]}`;
    case "handler":
      return `handler ${action.name}`;
  }
}

function strategyRow({ name, intervalSeconds, levels, noData }: Strategy, say: Terminal["say"]): string[] {
  const severities = levels.map(({ severity }) => severity).join(", ");
  const missing = noData === null ? "" : say(`no data: ${noData.severity}`, `无数据：${noData.severity}`);
  return [name, say(`every ${intervalSeconds} s`, `每 ${intervalSeconds} 秒`), severities, missing];
}

async function tellText(terminal: Terminal, { file, what, rows, mistakes, warnings }: Checked): Promise<void> {
  const { say, outColors } = terminal;
  const { red, green, dim } = outColors;
  for (const warning of warnings) terminal.note(`${say("warning", "警告")}: ${warning}`);
  if (mistakes.length > 0) {
    for (const { message } of mistakes) await terminal.out(message);
    const number = say(count(mistakes.length, "mistake", "mistakes"), `${mistakes.length} 处错误`);
    terminal.note(red(`${file}: ${number}`));
    return;
  }
  await terminal.out(`${green("✓")} ${file}: ${say(what.en, what.zh)}`);
  for (const line of textTable(rows, { paint: (cell, column) => (column === 0 ? cell : dim(cell)) }))
    await terminal.out(`  ${line}`);
}

async function tellJson(terminal: Terminal, { file, rows, mistakes, warnings }: Checked): Promise<void> {
  for (const mistake of mistakes) await terminal.json(mistake);
  await terminal.json({
    file,
    ok: mistakes.length === 0,
    names: rows.map(([name]) => name),
    mistakes: mistakes.length,
    warnings,
  });
}
