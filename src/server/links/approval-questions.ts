/** What an approval link asks now, and why it is refused if it asks nothing any longer: who decided, and when. */
import type { Engine } from "../../engine.ts";
import type { AuditEntry, History } from "../../instance/audit-types.ts";
import type { InstanceSnapshot } from "../../instance/instance-snapshot.ts";
import { errorCode } from "../../model/errors.ts";
import { LIST_PAGE_COUNT_MAX } from "../../model/limits.ts";
import { type Sentence, sentenceOf } from "../../present/sentences.ts";
import { isoTime } from "../../present/time-text.ts";
import type { ApprovalClaim, Links } from "./links.ts";

export type Question = {
  readonly claim: ApprovalClaim;
  readonly history: History;
  /** Why it waits. */
  readonly sentence: Sentence | null;
  /** How many an answer decides; at most a page is counted. */
  readonly held: number;
  readonly quorum: number;
  /** Who has granted it already. */
  readonly grants: readonly string[];
};

/** `text`: for people, in both languages. */
export type RefusedLink = { readonly status: 403 | 404 | 409 | 410; readonly text: Sentence };

export type QuestionPorts = {
  readonly engine: Pick<Engine, "get" | "list">;
  readonly links: Links;
  readonly now: () => number;
};

const FORGED: RefusedLink = {
  status: 403,
  text: {
    en: "This link was not made by this server, or it was cut. Open it exactly as it was sent.",
    zh: "该链接不是由本服务签发的，或已被截断。请使用原始链接。",
  },
};

export async function questionOf(signed: string, ports: QuestionPorts): Promise<Question | RefusedLink> {
  const claim = ports.links.readApproval(signed);
  if (claim === null) return FORGED;
  const found = await find(claim.instance, ports);
  if (found === null) return gone(claim.instance);
  const { snapshot, history } = found;
  const isAsked = snapshot.state === "Waiting" && snapshot.timers["approval"]?.dueAtMs === claim.dueAtMs;
  const ended = isAsked ? null : endOf(history, claim);
  if (ports.now() >= claim.untilMs) return over(410, claim, { ended, history });
  const waiting = claim.group === null ? [snapshot] : await heldBy(claim.group, ports);
  if (!isAsked && (claim.group === null || !isSameStorm(waiting, { ended, history })))
    return over(409, claim, { ended, history });
  // That a person was asked says nothing of why.
  const last = history.entries.findLast(({ event }) => event.type !== "approval.requested");
  return {
    claim,
    history,
    sentence: last === undefined ? null : sentenceOf(last, history),
    held: waiting.length,
    quorum: history.policy.approval.quorum ?? 1,
    grants: [...new Set(waiting.flatMap(({ context }) => context.grants))],
  };
}

type Found = { readonly snapshot: InstanceSnapshot; readonly history: History };

async function find(id: string, { engine }: QuestionPorts): Promise<Found | null> {
  try {
    const reference = engine.get(id);
    return { snapshot: await reference.snapshot(), history: await reference.history() };
  } catch (error) {
    if (errorCode(error) === "BECALM_NOT_FOUND") return null;
    throw error;
  }
}

async function heldBy(group: string, { engine }: QuestionPorts): Promise<readonly InstanceSnapshot[]> {
  return (await engine.list({ group, state: "Waiting", limit: LIST_PAGE_COUNT_MAX })).instances;
}

/** The step that answered this request: the first by which the instance left Waiting after it was asked. */
function endOf({ entries, policy }: History, { dueAtMs }: ApprovalClaim): AuditEntry | null {
  const sinceMs = dueAtMs - policy.approval.timeoutMs;
  return entries.find(({ atMs, path }) => atMs >= sinceMs && path[0] === "Waiting" && path.length > 1) ?? null;
}

type Ended = { readonly ended: AuditEntry | null; readonly history: History };

/**
 * A group asks once for all that it holds, until it holds nobody. The one that was asked about may be answered by
 * itself; the request stands while somebody waits still who waited then.
 */
function isSameStorm(waiting: readonly InstanceSnapshot[], { ended, history }: Ended): boolean {
  if (ended === null) return false;
  return waiting.some(({ timers }) => {
    const dueAtMs = timers["approval"]?.dueAtMs;
    return dueAtMs !== undefined && dueAtMs - history.policy.approval.timeoutMs <= ended.atMs;
  });
}

function over(status: 409 | 410, { dueAtMs }: ApprovalClaim, { ended, history }: Ended): RefusedLink {
  if (ended === null) {
    const due = isoTime(dueAtMs);
    return {
      status,
      text: { en: `This link has expired: it was good until ${due}.`, zh: `该链接已过期：有效期至 ${due}。` },
    };
  }
  const at = isoTime(ended.atMs);
  const { en, zh } = sentenceOf(ended, history);
  return {
    status,
    text: { en: `This has been decided already, at ${at}: ${en}`, zh: `已于 ${at} 处理：${zh}` },
  };
}

function gone(id: string): RefusedLink {
  return {
    status: 404,
    text: { en: `The instance ${id} is no longer kept.`, zh: `实例 ${id} 已不再保留。` },
  };
}
