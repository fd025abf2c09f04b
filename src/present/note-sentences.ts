/** What the audit says of an attempt that moved from one process to another. */
import type { AttemptNote } from "../instance/audit-types.ts";

export function noteSentence(note: AttemptNote): { readonly en: string; readonly zh: string } {
  const { attempt, process } = note;
  if (note.type === "effect.interrupted") {
    return {
      en: `Attempt ${attempt} was interrupted: ${process}, which ran it, stopped.`,
      zh: `第 ${attempt} 次执行被中断：执行它的进程 ${process} 已停止。`,
    };
  }
  const { heldBy } = note;
  const en = heldBy === undefined ? "" : `; ${heldBy}, which held it last, reported no result`;
  const zh = heldBy === undefined ? "" : `；此前持有它的进程 ${heldBy} 未报告结果`;
  return {
    en: `Attempt ${attempt} is begun again by ${process}${en}.`,
    zh: `第 ${attempt} 次执行由进程 ${process} 重新开始${zh}。`,
  };
}
