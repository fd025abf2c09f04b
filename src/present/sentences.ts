/**
 * What an audit entry says to people, in English and in Chinese. Nothing of this is stored: sentences are made when an
 * entry is read. Two of them are promised word for word: `套餐处理【{name}】已屏蔽， 屏蔽原因：{reason}` and `套餐【{name}】已收敛，
 * 收敛原因：{reason}`.
 */

import type { AuditEntry, History, Notice } from "../instance/audit-types.ts";
import type { Observation } from "../model/convergence-rule.ts";
import type {
  FiringTimerName,
  InstanceEvent,
  PauseNote,
  ReconsiderCause,
  ReconsiderEvent,
  SilenceNote,
} from "../model/instance-types.ts";
import { REASONS } from "../model/reasons.ts";
import { noteSentence } from "./note-sentences.ts";
import { isoTime } from "./time-text.ts";
import { ordinal, timesDecidedAgain } from "./times-decided-again.ts";

export const LANGUAGES = ["en", "zh"] as const;

export type Language = (typeof LANGUAGES)[number];

export type Sentence = Readonly<Record<Language, string>>;

/** How a sentence writes a moment. */
export type WriteTime = (atMs: number) => string;

/** `where`: options that name the store, for the commands that a sentence has; left out: none. */
export type Wording = { readonly time?: WriteTime; readonly where?: string | undefined };

/** The sentence of one entry of a history. */
export function sentenceOf(entry: AuditEntry, history: History, { time = isoTime, where }: Wording = {}): Sentence {
  const { birth, instance } = history;
  return sentenceAbout(entry, {
    instance,
    policy: birth.policy,
    notice: birth.notice,
    decidedAgain: entry.event.type === "reconsider" ? timesDecidedAgain(entry, history) : 0,
    time,
    where,
  });
}

/** The part of an entry that its sentence is made of. */
type Told = Pick<AuditEntry, "event" | "path" | "verdict" | "reason" | "observation">;

/**
 * Whose entry it is. `decidedAgain`: how often the instance had been decided again, this entry included; 0: that is not
 * known, or it never was.
 */
export type SentenceSubject = {
  readonly instance: string;
  readonly policy: string;
  readonly notice: Notice | null;
  readonly decidedAgain: number;
  readonly time: WriteTime;
  readonly where?: string | undefined;
};

/** The same for an entry whose history is not at hand. */
export function sentenceAbout(entry: Told, subject: SentenceSubject): Sentence {
  const { event } = entry;
  switch (event.type) {
    case "start":
      return startSentence(entry, subject);
    case "peers.settled":
      return decisionSentence(entry, subject, { en: "It looked at its peers again. ", zh: "再次检查同组实例。" });
    case "lock.busy":
      return say(
        `It waits until ${subject.time(event.dueAtMs)}: ${reason(entry).en}.`,
        `等待到 ${subject.time(event.dueAtMs)}：${reason(entry).zh}。`,
      );
    case "effect.interrupted":
    case "effect.begun_again":
      return noteSentence(event);
    case "reconsider":
      return reconsideredSentence(entry, event, subject);
    case "effect.done":
      return doneSentence(entry, event.attempt);
    case "effect.failed":
      return failureSentence(entry, event);
    case "timer.elapsed":
      return timerSentence(entry, event.timer, subject);
    case "approval.requested":
      return say("A human was asked to decide.", "已发起审批。");
    case "approval.granted":
      return granted(event);
    case "approval.counted":
      return say(
        `${event.by} granted the approval, and it needs more people: ${event.why}`,
        `${event.by} 通过了审批，仍需他人审批：${event.why}`,
      );
    case "approval.denied":
      return say(`${event.by} denied the approval: ${event.why}`, `${event.by} 拒绝了审批：${event.why}`);
    case "alert.resolved":
      return withEnd(resolvedSentence(entry, subject), event, subject);
    case "cancel":
      return cancelSentence(entry, event, subject);
    case "end":
      return say(`${event.by} closed it: ${event.why}`, `${event.by} 关闭了它：${event.why}`);
  }
}

function startSentence(entry: Told, subject: SentenceSubject): Sentence {
  const { event } = entry;
  if (event.type !== "start") return say("", "");
  if (event.approved === true) {
    return say(
      `${event.by} said to run it anyway: ${event.why}${passed(event).en}`,
      `${event.by} 要求直接执行：${event.why}${passed(event).zh}`,
    );
  }
  if (event.silence !== null) return silencedSentence(event.silence, subject);
  if (subject.notice !== null) return noticeSentence(subject.notice, subject);
  return decisionSentence(entry, subject, { en: "", zh: "" });
}

const CAUSES: Readonly<Record<ReconsiderCause, Sentence>> = {
  silence_over: { en: "the silence is over", zh: "屏蔽已结束" },
  again: { en: "its alert still fires", zh: "告警仍在触发" },
  resumed: { en: "the pause is over", zh: "暂停已解除" },
};

/** Says why it is decided again and how often that has been, then what is decided. */
function reconsideredSentence(entry: Told, event: ReconsiderEvent, subject: SentenceSubject): Sentence {
  if (entry.reason === "episode_over") return say(`It stays as it is: ${reason(entry).en}.`, `${reason(entry).zh}。`);
  const nth = subject.decidedAgain;
  const cause = CAUSES[event.cause];
  const times = nth === 0 ? say("", "") : say(`, for the ${ordinal(nth)} time`, `第 ${nth} 次`);
  const before = say(`It is decided again${times.en} (${cause.en}). `, `${times.zh}重新决策（${cause.zh}）。`);
  if (event.silence === null) return decisionSentence(entry, subject, before);
  const silenced = silencedSentence(event.silence, subject);
  return say(before.en + silenced.en, before.zh + silenced.zh);
}

function doneSentence(entry: Told, attempt: number): Sentence {
  if (entry.reason === "verifying") {
    return say(
      `Attempt ${attempt} succeeded; it counts once the alert resolves.`,
      `第 ${attempt} 次执行成功，等待告警恢复确认。`,
    );
  }
  if (entry.reason === "observed") {
    return say(
      `Attempt ${attempt} counts as succeeded: ${reason(entry).en}.`,
      `第 ${attempt} 次执行视为成功：${reason(entry).zh}。`,
    );
  }
  return say(`Attempt ${attempt} succeeded.`, `第 ${attempt} 次执行成功。`);
}

function resolvedSentence(entry: Told, { policy }: SentenceSubject): Sentence {
  const why = reason(entry);
  if (entry.reason === "verified") return say(`The alert resolved: ${why.en}.`, `告警已恢复：${why.zh}。`);
  if (entry.reason === "alert_resolved") {
    return say(
      `The alert resolved before anything ran, so "${policy}" is skipped.`,
      `套餐【${policy}】已跳过，告警已恢复。`,
    );
  }
  return say(`Action "${policy}" is skipped: ${why.en}.`, `套餐【${policy}】已跳过，${why.zh}。`);
}

/** Of an end that was heard of when it was over for a while. */
const ENDED_BEFORE_MS = 1_000;

function withEnd(
  sentence: Sentence,
  { atMs, endedAtMs = atMs }: InstanceEvent & { type: "alert.resolved" },
  { time }: SentenceSubject,
): Sentence {
  if (atMs - endedAtMs < ENDED_BEFORE_MS) return sentence;
  return say(
    `${sentence.en} The alert had ended at ${time(endedAtMs)}.`,
    `${sentence.zh}告警实际结束于 ${time(endedAtMs)}。`,
  );
}

/** Names who silenced it and how to run it by hand all the same. */
function silencedSentence(
  { author, comment, toMs }: SilenceNote,
  { policy, instance, time, where }: SentenceSubject,
): Sentence {
  const why = {
    en: `${author} silenced it until ${time(toMs)} (${comment})`,
    zh: `${author} 屏蔽至 ${time(toMs)}（${comment}）`,
  };
  const inStore = where === undefined ? "" : ` ${where}`;
  const byHand = `becalm send ${instance} start${inStore} --by WHO --why TEXT`;
  return say(
    `Action "${policy}" is silenced: ${why.en}. To run it anyway: ${byHand}`,
    `套餐处理【${policy}】已屏蔽， 屏蔽原因：${why.zh}。手动执行：${byHand}`,
  );
}

function noticeSentence(notice: Notice, { time }: SentenceSubject): Sentence {
  if (notice.kind === "approval-request" && notice.pause !== undefined) {
    const { by, why } = notice.pause;
    return say(
      `A human is asked to decide about all that the pause of ${by} holds (${why}).`,
      `请求决定 ${by} 的暂停所保留的全部处理（${why}）。`,
    );
  }
  if (notice.kind === "approval-request") {
    return say(
      `A human is asked to decide about ${notice.instance} until ${time(notice.dueAtMs)}.`,
      `请求审批 ${notice.instance}，截止 ${time(notice.dueAtMs)}。`,
    );
  }
  return say(
    `The summary of ${notice.skipped} skipped alerts, from ${time(notice.openedAtMs)} to ${time(notice.endsAtMs)}, is sent.`,
    `发送汇总：${time(notice.openedAtMs)} 至 ${time(notice.endsAtMs)} 共收敛 ${notice.skipped} 条告警。`,
  );
}

/** A decision by the convergence function: what, why, and what it saw. */
function decisionSentence(entry: Told, subject: SentenceSubject, before: Sentence): Sentence {
  if (entry.reason === "paused") return pausedSentence(entry, subject, before);
  const { policy } = subject;
  const why = reason(entry);
  const saw = entry.observation === null ? { en: "", zh: "" } : observationText(entry.observation);
  const seen = { en: saw.en === "" ? "" : ` (${saw.en})`, zh: saw.zh === "" ? "" : `（${saw.zh}）` };
  switch (entry.verdict) {
    case "skip":
      return say(
        `${before.en}Action "${policy}" was converged: ${why.en}${seen.en}.`,
        `${before.zh}套餐【${policy}】已收敛， 收敛原因：${why.zh}${seen.zh}`,
      );
    case "wait":
      return say(
        `${before.en}Action "${policy}" waits: ${why.en}${seen.en}.`,
        `${before.zh}套餐【${policy}】等待中，原因：${why.zh}${seen.zh}`,
      );
    case "approve":
      return say(
        `${before.en}Action "${policy}" is held for an approval: ${why.en}${seen.en}.`,
        `${before.zh}套餐【${policy}】待审批，原因：${why.zh}${seen.zh}`,
      );
    case "run":
    case null:
      return say(
        `${before.en}Action "${policy}" runs: ${why.en}${seen.en}.`,
        `${before.zh}套餐【${policy}】开始执行，原因：${why.zh}${seen.zh}`,
      );
  }
}

/** It would have run, but an emergency stop holds. */
function pausedSentence({ event }: Told, { policy, time }: SentenceSubject, before: Sentence): Sentence {
  const pause = "paused" in event ? event.paused : undefined;
  const who = pause === undefined ? say("", "") : pauseText(pause, time);
  return say(
    `${before.en}Action "${policy}" would run, but is held: ${who.en}.`,
    `${before.zh}套餐【${policy}】本应执行，已被暂停：${who.zh}。`,
  );
}

function pauseText({ by, why, sinceMs, scope }: PauseNote, time: WriteTime): Sentence {
  const what = scope === null ? say("everything", "全部") : say(`policy "${scope}"`, `套餐【${scope}】`);
  return say(
    `${by} has paused ${what.en} since ${time(sinceMs)} (${why})`,
    `${by} 自 ${time(sinceMs)} 暂停${what.zh}（${why}）`,
  );
}

function failureSentence(entry: Told, event: { attempt: number; error: string }): Sentence {
  const then = reason(entry);
  const isPlain = entry.reason === "failed";
  return say(
    `Attempt ${event.attempt} failed: ${event.error}${isPlain ? "" : ` (${then.en})`}`,
    `第 ${event.attempt} 次执行失败：${event.error}${isPlain ? "" : `（${then.zh}）`}`,
  );
}

function timerSentence(entry: Told, timer: FiringTimerName, subject: SentenceSubject): Sentence {
  const why = reason(entry);
  if (entry.reason === "paused")
    return pausedSentence(entry, subject, { en: "It is time for the next attempt. ", zh: "重试时间已到。" });
  if (timer === "retry") return say("It is time for the next attempt.", "重试执行。");
  if (timer === "verify") {
    const next = entry.reason === "not_resolved" ? say("", "") : say(`; ${why.en}`, `；${why.zh}`);
    const missed = REASONS.not_resolved;
    return say(`It counts as failed: ${missed.en}${next.en}.`, `视为失败：${missed.zh}${next.zh}。`);
  }
  return say(`It is skipped: ${why.en}.`, `已跳过：${why.zh}。`);
}

function granted(event: InstanceEvent & { type: "approval.granted" }): Sentence {
  const others = event.with ?? [];
  const withOthers =
    others.length === 0 ? say("", "") : say(` (after ${others.join(", ")})`, `（此前：${others.join("、")}）`);
  return say(
    `${event.by} granted the approval${withOthers.en}: ${event.why}${passed(event).en}`,
    `${event.by} 通过了审批${withOthers.zh}：${event.why}${passed(event).zh}`,
  );
}

/** What a person lets through passes a silence and a pause; the audit names them. */
function passed({ silence, paused }: { silence: SilenceNote | null; paused?: PauseNote }): Sentence {
  const past =
    silence === null
      ? say("", "")
      : say(
          ` (past the silence of ${silence.author}: ${silence.comment})`,
          `（越过 ${silence.author} 的屏蔽：${silence.comment}）`,
        );
  if (paused === undefined) return past;
  return say(
    `${past.en} (past the pause of ${paused.by}: ${paused.why})`,
    `${past.zh}（越过 ${paused.by} 的暂停：${paused.why}）`,
  );
}

function cancelSentence(
  entry: Told,
  event: { by: string; why: string; reason?: string },
  { policy }: SentenceSubject,
): Sentence {
  const why = reason(entry);
  if (event.reason === "nothing_to_summarise") return say(`No summary is sent: ${why.en}.`, `${why.zh}。`);
  if (event.reason === "peer_denied") {
    return say(
      `Action "${policy}" was converged: ${why.en} (by ${event.by}: ${event.why}).`,
      `套餐【${policy}】已收敛， 收敛原因：${why.zh}（${event.by}：${event.why}）`,
    );
  }
  return say(`${event.by} cancelled it: ${event.why}`, `${event.by} 取消了它：${event.why}`);
}

/** The numbers of peers that are not zero. */
export function observationText(observation: Observation): Sentence {
  const { executed, succeeded, failed, inProgress, settledWithoutFailure } = observation;
  const parts: [number, string, string][] = [
    [executed, "executed", "已执行"],
    [succeeded, "succeeded", "成功"],
    [failed, "failed", "失败"],
    [inProgress, "in progress", "进行中"],
    [settledWithoutFailure, "just ended", "刚完成"],
  ];
  const shown = parts.filter(([count]) => count > 0);
  if (shown.length === 0) return say("no peers", "无同组实例");
  return say(
    `peers: ${shown.map(([count, en]) => `${count} ${en}`).join(", ")}`,
    `同组：${shown.map(([count, , zh]) => `${zh} ${count}`).join("，")}`,
  );
}

function reason(entry: Told): Sentence {
  return REASONS[entry.reason];
}

function say(en: string, zh: string): Sentence {
  return { en, zh };
}
