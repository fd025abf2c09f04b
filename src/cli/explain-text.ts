/** One instance explained to people: its alert, where it is, and a sentence for each step. For `show` and the demo. */
import { acceptedText } from "../instance/accepted-events.ts";
import type { AuditEntry, History } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { timersOf } from "../instance/draft.ts";
import { topLevel } from "../instance/step.ts";
import { REASONS } from "../model/reasons.ts";
import { ruleText } from "../present/rule-text.ts";
import { counterfactualText, type Language, sentenceOf } from "../present/sentences.ts";
import { textTable } from "../present/text-table.ts";
import { printable } from "../present/text-width.ts";
import { clockTime, dateTime } from "../present/time-text.ts";
import { wrapped } from "../present/wrapped-text.ts";
import { wholePath } from "../simulate/instance-rows.ts";
import { stateColor } from "./report-text.ts";
import type { Colors } from "./terminal.ts";

const COLUMNS = 100;

export type Explaining = { readonly colors: Colors; readonly language: Language };

/** `instance: null`: its checkpoint cannot be read, so only what the history says is shown. */
export function explainText(instance: Instance | null, history: History, { colors, language }: Explaining): string[] {
  return [
    ...factsText(instance, history, { colors, language }),
    "",
    ...history.entries.flatMap((entry) => entryText(entry, history, { colors, language })),
  ];
}

function factsText(instance: Instance | null, history: History, { colors, language }: Explaining): string[] {
  const { birth } = history;
  const facts: [string, string][] = [["policy", `${birth.policy} (version ${birth.policyVersion})`]];
  if (birth.alert !== null) {
    facts.push(["alert", `started ${dateTime(birth.alert.startsAtMs)}, fingerprint ${birth.alert.fingerprint}`]);
    facts.push(["labels", labelsText(birth.alert.labels)]);
    for (const [name, text] of Object.entries(birth.alert.annotations)) facts.push([name, text]);
  }
  if (birth.notice !== null)
    facts.push([
      birth.kind,
      birth.notice.kind === "summary" ? `of group ${birth.notice.group}` : `about ${birth.notice.instance}`,
    ]);
  const rule = history.policy.converge;
  if (rule !== null && birth.alert !== null && birth.group !== null)
    facts.push(["rule", ruleText(rule, birth.alert.labels)[language]]);
  if (birth.group !== null) facts.push(["group", birth.group]);
  facts.push(["created", dateTime(birth.createdAtMs)]);
  if (instance !== null) facts.push(...stateFacts(instance, language));
  facts.push(["path", wholePath(history).join(" > ")]);
  return facts.flatMap(([name, text]) => {
    const lines = wrapped(printable(text), COLUMNS - 12);
    return lines.map((line, index) => {
      const label = (index === 0 ? printable(name) : "").padEnd(9).concat(" ");
      return `  ${colors.dim(label)}${name === "state" ? stateLine(line, colors) : line}`;
    });
  });
}

function stateFacts(instance: Instance, language: Language): [string, string][] {
  const { reason, snapshot } = instance;
  const attempts = snapshot.context.attempt;
  const why = reason === null ? "" : `: ${REASONS[reason][language]} (${reason})`;
  const facts: [string, string][] = [["state", `${topLevel(snapshot.state)}${why}`]];
  if (attempts > 0) facts.push(["attempts", String(attempts)]);
  const timers = [...timersOf(instance)].map(([name, timer]) => `${name} due ${dateTime(timer.dueAtMs)}`);
  if (timers.length > 0) facts.push(["timers", timers.join(", ")]);
  facts.push(["accepts", acceptedText(snapshot, instance.atMs)]);
  return facts;
}

function stateLine(line: string, colors: Colors): string {
  const [state = ""] = line.split(":");
  return stateColor(state, colors) + line.slice(state.length);
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  const names = Object.keys(labels).sort();
  return names.map((name) => `${name}=${JSON.stringify(labels[name])}`).join(" ");
}

function entryText(entry: AuditEntry, history: History, { colors, language }: Explaining): string[] {
  const { dim, bold } = colors;
  const head = `  ${clockTime(entry.atMs)}  ${bold(entry.path.join(" > "))}  ${dim(entry.event.type)}`;
  const indent = " ".repeat(16);
  const lines = wrapped(printable(sentenceOf(entry, history)[language]), COLUMNS - indent.length).map(
    (line) => indent + line,
  );
  const answer = answerText(entry);
  if (answer !== null)
    lines.push(...wrapped(printable(answer), COLUMNS - indent.length).map((line) => indent + dim(line)));
  const otherwise = counterfactualText(entry);
  if (otherwise !== null) lines.push(indent + dim(otherwise[language]));
  if (entry.peers.length > 0) {
    const peers = `${language === "en" ? "peers" : "同组实例"}: ${entry.peers.join(", ")}`;
    lines.push(...wrapped(peers, COLUMNS - indent.length).map((line) => indent + dim(line)));
  }
  return [head, ...lines];
}

/** What the target of an attempt answered, if it said anything. */
function answerText({ event }: AuditEntry): string | null {
  if (event.type !== "effect.done" || event.result == null) return null;
  return `answer: ${typeof event.result === "string" ? event.result : JSON.stringify(event.result)}`;
}

/** A line a step: ✓ or ✗, and the hash of the checkpoint that it led to. */
export function checkedSteps(
  steps: readonly { entry: AuditEntry; isEqual: boolean; checkpoint: string }[],
  { green, red, dim }: Colors,
): string[] {
  return textTable(
    steps.map(({ entry, isEqual, checkpoint }) => [
      isEqual ? "✓" : "✗",
      dateTime(entry.atMs),
      entry.event.type,
      entry.path.join(" > "),
      checkpoint.slice(0, 16),
    ]),
    {
      paint: (cell, column) =>
        column === 0 ? (cell === "✓" ? green(cell) : red(cell)) : column === 1 || column === 4 ? dim(cell) : cell,
    },
  ).map((line) => `  ${line}`);
}
