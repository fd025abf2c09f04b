/** One instance explained to people: its alert, where it is, and a sentence for each step. For `show` and the demo. */
import { acceptedEvents, acceptedText } from "../instance/accepted-events.ts";
import type { AuditEntry, History, Notice } from "../instance/audit-types.ts";
import type { Instance } from "../instance/checkpoint.ts";
import { timersOf } from "../instance/draft.ts";
import { topLevel } from "../instance/step.ts";
import type { Alert } from "../model/alert.ts";
import { REASONS } from "../model/reasons.ts";
import { counterfactualText } from "../present/counterfactual-text.ts";
import { decidedByText } from "../present/decided-by.ts";
import { hasDeadline } from "../present/due-time.ts";
import type { Reader } from "../present/reader.ts";
import { ruleText } from "../present/rule-text.ts";
import { sentenceOf } from "../present/sentences.ts";
import { textTable } from "../present/text-table.ts";
import { padColumns, printable } from "../present/text-width.ts";
import { wrapped } from "../present/wrapped-text.ts";
import { wholePath } from "../simulate/instance-rows.ts";
import { stateColor } from "./report-text.ts";
import type { Colors } from "./terminal.ts";

const COLUMNS = 80;
const NAME_COLUMNS = 12;

/**
 * `names`: of the processes that decided its steps, by id; left out: they are not shown. `where`: options that name the
 * store, so that commands in sentences work as printed.
 */
export type Explaining = {
  readonly colors: Colors;
  readonly reader: Reader;
  readonly where?: string;
  readonly names?: ReadonlyMap<string, string>;
  /** In a namespace of `becalm run`, which sends nothing. */
  readonly isSimulated?: boolean;
};

/** `instance: null`: its checkpoint cannot be read, so only what the history says is shown. */
export function explainText(instance: Instance | null, history: History, explaining: Explaining): string[] {
  return [...factsText(instance, history, explaining), "", ...stepsText(history, explaining)];
}

/** A line about the instance. */
type Fact = { readonly name: string; readonly text: string; readonly isState?: boolean };

function factsText(instance: Instance | null, history: History, explaining: Explaining): string[] {
  const { colors, reader } = explaining;
  const { birth } = history;
  const { say, times, language } = reader;
  const version = say(`version ${birth.policyVersion}`, `版本 ${birth.policyVersion}`);
  const facts: Fact[] = [{ name: say("policy", "策略"), text: `${birth.policy} (${version})` }];
  if (birth.alert !== null) facts.push(...alertFacts(birth.alert, reader));
  if (birth.notice !== null) facts.push(noticeFact(birth.notice, reader));
  const rule = history.policy.converge;
  if (rule !== null && birth.alert !== null && birth.group !== null)
    facts.push({ name: say("rule", "规则"), text: ruleText(rule, birth.alert.labels)[language] });
  if (birth.group !== null) facts.push({ name: say("group", "收敛组"), text: birth.group });
  facts.push({ name: say("created", "创建"), text: times.dateTime(birth.createdAtMs) });
  if (instance !== null) facts.push(...stateFacts(instance, explaining));
  facts.push({ name: say("path", "路径"), text: wholePath(history).join(" > ") });
  return facts.flatMap(({ name, text, isState }) => {
    const lines = wrapped(printable(text), COLUMNS - NAME_COLUMNS);
    return lines.map((line, index) => {
      const label = padColumns(index === 0 ? printable(name) : "", NAME_COLUMNS - 3).concat(" ");
      return `  ${colors.dim(label)}${isState === true && index === 0 ? stateLine(line, colors) : line}`;
    });
  });
}

function alertFacts({ startsAtMs, fingerprint, labels, annotations }: Alert, { say, times }: Reader): Fact[] {
  const started = times.dateTime(startsAtMs);
  return [
    {
      name: say("alert", "告警"),
      text: say(`started ${started}, fingerprint ${fingerprint}`, `开始于 ${started}，指纹 ${fingerprint}`),
    },
    { name: say("labels", "标签"), text: labelsText(labels) },
    ...Object.entries(annotations).map(([name, text]) => ({ name, text })),
  ];
}

function noticeFact(notice: Notice, { say }: Reader): Fact {
  if (notice.kind === "summary")
    return { name: say("summary", "汇总"), text: say(`of group ${notice.group}`, `收敛组 ${notice.group}`) };
  const { instance } = notice;
  return { name: say("request", "审批请求"), text: say(`about ${instance}`, `针对 ${instance}`) };
}

function stateFacts(instance: Instance, { reader, isSimulated = false }: Explaining): Fact[] {
  const { say, times, language } = reader;
  const { reason, snapshot } = instance;
  const attempts = snapshot.context.attempt;
  const because = reason === null ? "" : `: ${REASONS[reason][language]} (${reason})`;
  const why = sendingText(instance, { say, isSimulated }) ?? because;
  const facts: Fact[] = [{ name: say("state", "状态"), text: `${topLevel(snapshot.state)}${why}`, isState: true }];
  if (attempts > 0) facts.push({ name: say("attempts", "执行次数"), text: String(attempts) });
  const timers = [...timersOf(instance)].map(([name, { dueAtMs }]) =>
    hasDeadline(dueAtMs)
      ? say(`${name} due ${times.dateTime(dueAtMs)}`, `${name} 到期 ${times.dateTime(dueAtMs)}`)
      : say(`${name}, without a deadline`, `${name}，无期限`),
  );
  if (timers.length > 0) facts.push({ name: say("timers", "定时器"), text: timers.join(", ") });
  facts.push({ name: say("accepts", "可接受"), text: acceptedWords(snapshot, { atMs: instance.atMs, say }) });
  return facts;
}

/** No rule governs what the engine itself sends: that is no reason to tell. null: another reason is. */
function sendingText(
  { kind, reason, snapshot }: Instance,
  { say, isSimulated }: { say: Reader["say"]; isSimulated: boolean },
): string | null {
  if (kind === "action" || reason !== "no_rule") return null;
  if (isSimulated) return say(": it was not sent, a simulation sends nothing", ": 未发送（模拟运行不会发送任何内容）");
  return topLevel(snapshot.state) === "Success"
    ? say(": it was sent", ": 已发送")
    : say(": it is being sent", ": 正在发送");
}

function acceptedWords(snapshot: Instance["snapshot"], { atMs, say }: { atMs: number; say: Reader["say"] }): string {
  const accepted = acceptedText(snapshot, atMs);
  return acceptedEvents(snapshot, atMs).length === 0 ? say(accepted, "无") : accepted;
}

/** A step a line, under the day on which it was taken. */
function stepsText(history: History, explaining: Explaining): string[] {
  const { colors, reader } = explaining;
  const { times } = reader;
  let day = "";
  return history.entries.flatMap((entry) => {
    const lines = entryText(entry, history, explaining);
    const date = times.date(entry.atMs);
    if (date === day) return lines;
    day = date;
    return [colors.dim(`  ${date} (${times.zone})`), ...lines];
  });
}

function stateLine(line: string, colors: Colors): string {
  const [state = ""] = line.split(":");
  return stateColor(state, colors) + line.slice(state.length);
}

export function labelsText(labels: Readonly<Record<string, string>>): string {
  const names = Object.keys(labels).sort();
  return names.map((name) => `${name}=${JSON.stringify(labels[name])}`).join(" ");
}

function entryText(entry: AuditEntry, history: History, { colors, reader, names, where }: Explaining): string[] {
  const { dim, bold } = colors;
  const { language, times, say } = reader;
  const by = names === undefined ? "" : printable(decidedByText(entry, names));
  const event = by === "" ? entry.event.type : `${entry.event.type}  ${say("by", "由")} ${by}`;
  const head = `  ${times.clock(entry.atMs)}  ${bold(entry.path.join(" > "))}  ${dim(event)}`;
  const indent = " ".repeat(16);
  const sentence = sentenceOf(entry, history, { time: times.iso, where })[language];
  const lines = wrapped(printable(sentence), COLUMNS - indent.length).map((line) => indent + line);
  const answer = answerText(entry, reader);
  if (answer !== null)
    lines.push(...wrapped(printable(answer), COLUMNS - indent.length).map((line) => indent + dim(line)));
  const otherwise = counterfactualText(entry);
  if (otherwise !== null)
    lines.push(...wrapped(otherwise[language], COLUMNS - indent.length).map((line) => indent + dim(line)));
  if (entry.peers.length > 0) {
    const peers = `${say("peers", "同组实例")}: ${entry.peers.join(", ")}`;
    lines.push(...wrapped(peers, COLUMNS - indent.length).map((line) => indent + dim(line)));
  }
  return [head, ...lines];
}

/** What the target of an attempt answered, if it said anything. */
function answerText({ event }: AuditEntry, { say }: Reader): string | null {
  if (event.type !== "effect.done" || event.result == null) return null;
  return `${say("answer", "响应")}: ${typeof event.result === "string" ? event.result : JSON.stringify(event.result)}`;
}

/** A line a step: ✓ or ✗, and the hash of the checkpoint that it led to. */
export function checkedSteps(
  steps: readonly { entry: AuditEntry; isEqual: boolean; checkpoint: string }[],
  { colors: { green, red, dim }, reader: { times } }: Explaining,
): string[] {
  return textTable(
    steps.map(({ entry, isEqual, checkpoint }) => [
      isEqual ? "✓" : "✗",
      times.dateTime(entry.atMs),
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
