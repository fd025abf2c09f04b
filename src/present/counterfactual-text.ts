/** What would have decided otherwise, in English and in Chinese. */
import type { Counterfactual, VerdictKind } from "../convergence/convergence.ts";
import type { AuditEntry } from "../instance/audit-types.ts";
import type { Sentence } from "./sentences.ts";

const WOULD: Readonly<Record<VerdictKind, Sentence>> = {
  run: { en: "would have run", zh: "本会执行" },
  skip: { en: "would have been skipped", zh: "本会被收敛" },
  wait: { en: "would have waited", zh: "本会等待" },
  approve: { en: "would have needed an approval", zh: "本会需要审批" },
};

/**
 * The nearest change that would have decided otherwise: "would have run with count >= 4". null: no rule decided this
 * step.
 */
export function counterfactualText({ event, counterfactual }: AuditEntry): Sentence | null {
  const isHuman = event.type === "approval.granted" || (event.type === "start" && event.approved === true);
  if (counterfactual === null || isHuman) return null;
  const { parameter, from, to, verdict } = counterfactual;
  const would = WOULD[verdict];
  const { en, zh } = changeText(parameter, { from, to });
  return say(`${would.en} ${en}`, `${zh}，${would.zh}`);
}

const PEERS: Readonly<Partial<Record<Counterfactual["parameter"], Sentence>>> = {
  executed: { en: "executed", zh: "已执行" },
  succeeded: { en: "succeeded", zh: "成功" },
  failed: { en: "failed", zh: "失败" },
  inProgress: { en: "in progress", zh: "进行中" },
  settledWithoutFailure: { en: "that just ended without failure", zh: "刚完成" },
};

function changeText(
  parameter: Counterfactual["parameter"],
  { from, to }: { from: number | boolean; to: number | boolean },
): Sentence {
  const sign = Number(to) > Number(from) ? ">=" : "<=";
  if (parameter === "count") return say(`with count ${sign} ${to}`, `若 count ${sign} ${to}`);
  if (parameter === "isNew")
    return to === true
      ? say("as the one that opens the group", "若由它开启收敛组")
      : say("if it had not opened the group", "若不是由它开启收敛组");
  if (parameter === "parentOpen")
    return to === true
      ? say("under an open parent group", "若上级收敛组未关闭")
      : say("without an open parent group", "若上级收敛组已关闭");
  const peers = PEERS[parameter] ?? say(parameter, parameter);
  if (to === 0) return say(`with no peer ${peers.en}`, `若没有${peers.zh}的同组实例`);
  const bound = sign === ">=" ? { en: "at least", zh: "至少" } : { en: "at most", zh: "至多" };
  return say(
    `with ${bound.en} ${to} ${to === 1 ? "peer" : "peers"} ${peers.en}`,
    `若${bound.zh} ${to} 个同组实例${peers.zh}`,
  );
}

function say(en: string, zh: string): Sentence {
  return { en, zh };
}
