import type { Notice } from "../instance/audit-types.ts";
import type { Alert } from "../model/alert.ts";
import { isoTime } from "../model/timestamp.ts";
import { dimensionsText, ruleText } from "../present/rule-text.ts";
import { type Sentence, sentenceOf } from "../present/sentences.ts";
import type { EffectRequest, NoticeSubject } from "./effect-port.ts";
import type { ApprovalLinks, SignedUrls } from "./signed-urls.ts";

/** An alert as a target outside gets it: times as RFC 3339 in UTC. */
export type PlainAlert = {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string | null;
  readonly status: "firing" | "resolved";
  readonly fingerprint: string;
  readonly generatorURL: string | null;
};

export type PlainSummary = {
  readonly group: string;
  /** The instance that opened the group. */
  readonly opener: string;
  /** How many instances were skipped. */
  readonly skipped: number;
  /** Ids of some of them. */
  readonly sample: readonly string[];
  readonly openedAt: string;
  readonly endsAt: string;
} & PlainSubject;

/** What a person needs to know of an instance that a notice is about. All is null, or empty, if it is gone. */
export type PlainSubject = {
  /** Of the instance: its labels and annotations. */
  readonly alert: PlainAlert | null;
  /** Why it is where it is. */
  readonly sentence: Sentence | null;
  /** The rule in words, with the alert's own values; null: no rule governs it. */
  readonly rule: Sentence | null;
  /** What all of its group have in common, such as `cluster=core`. */
  readonly dimensions: string | null;
};

/**
 * `instance` is the one to approve or deny, `dueAt` when nobody can any longer. `held`: how many an answer for the
 * group decides; `commands`: what answers it, for the group if there is one; `links`: pages that do, null where nobody
 * has said how this server is reached.
 */
export type PlainApproval = {
  readonly group: string | null;
  readonly instance: string;
  readonly dueAt: string;
  readonly held: number | null;
  readonly commands: { readonly approve: string; readonly deny: string };
  readonly links: ApprovalLinks | null;
  /** All of it in one paragraph, for a pager that shows a single text. */
  readonly text: Sentence;
} & PlainSubject;

/** What the attempt is about: exactly one of the three. */
export type EffectSubject =
  | { readonly alert: PlainAlert | null }
  | { readonly summary: PlainSummary }
  | { readonly approval: PlainApproval };

/** What a webhook gets as its body and a program on its standard input (docs/actions.md). */
export type EffectMessage = Pick<EffectRequest, "kind" | "effectId" | "attempt" | "policy" | "instance"> & {
  /** Rises with every attempt of the group; missing: no rule governs the instance, or it is a notice. */
  readonly fencingToken?: number;
} & EffectSubject;

/** `urls` null: a message that may lie around, such as a log line, holds no links. */
export function effectMessage(request: EffectRequest, urls: SignedUrls | null): EffectMessage {
  const { kind, effectId, attempt, token, policy, instance } = request;
  const fence = token === undefined ? {} : { fencingToken: token };
  return { kind, effectId, attempt, ...fence, policy, instance, ...effectSubject(request, urls) };
}

/** What in a message is a proof by itself: the ends of its addresses. */
export function proofsIn(message: object): string[] {
  const addresses = JSON.stringify(message).matchAll(/\/v1\/(?:answers|callbacks)\/([\w.-]+)/g);
  return [...addresses].map(([, proof]) => proof as string);
}

export function effectSubject({ alert, notice, subject }: EffectRequest, urls: SignedUrls | null): EffectSubject {
  if (notice === null) return { alert: alert === null ? null : plainAlert(alert) };
  return notice.kind === "summary"
    ? { summary: { ...plainSummary(notice), ...plainSubject(subject) } }
    : { approval: { ...plainApproval(notice, subject, urls), ...plainSubject(subject) } };
}

function plainSubject(subject: NoticeSubject | null): PlainSubject {
  const { history = null } = subject ?? {};
  // That a person was asked says nothing of why.
  const last = history?.entries.findLast(({ event }) => event.type !== "approval.requested");
  if (history === null || last === undefined) return { alert: null, sentence: null, rule: null, dimensions: null };
  const { alert, group } = history.birth;
  const rule = group === null ? null : history.policy.converge;
  return {
    alert: alert === null ? null : plainAlert(alert),
    sentence: sentenceOf(last, history),
    rule: rule === null ? null : ruleText(rule, alert?.labels ?? null),
    dimensions: rule === null ? null : dimensionsText(rule, alert?.labels ?? null),
  };
}

function plainAlert(alert: Alert): PlainAlert {
  const { labels, annotations, startsAtMs, endsAtMs, status, fingerprint, generatorURL } = alert;
  const endsAt = endsAtMs === null ? null : isoTime(endsAtMs);
  return { labels, annotations, startsAt: isoTime(startsAtMs), endsAt, status, fingerprint, generatorURL };
}

function plainSummary(notice: Notice & { kind: "summary" }): Omit<PlainSummary, keyof PlainSubject> {
  const { group, opener, skipped, sample, openedAtMs, endsAtMs } = notice;
  return { group, opener, skipped, sample, openedAt: isoTime(openedAtMs), endsAt: isoTime(endsAtMs) };
}

function plainApproval(
  { group, instance, dueAtMs, pause }: Notice & { kind: "approval-request" },
  subject: NoticeSubject | null,
  urls: SignedUrls | null,
): Omit<PlainApproval, keyof PlainSubject> {
  const target = group === null ? instance : `--group '${group.replaceAll("'", "'\\''")}'`;
  const joinMs = subject?.history.policy.approval.timeoutMs ?? 0;
  const command = (verb: string): string => `becalm ${verb} ${target} --by WHO --why TEXT`;
  const scope = pause?.scope == null ? "" : ` --policy ${pause.scope}`;
  const lift = (how: string): string => `becalm resume${scope} --${how} --by WHO --why TEXT`;
  const commands =
    pause === undefined
      ? { approve: command("approve"), deny: command("deny") }
      : { approve: lift("decide"), deny: lift("deny") };
  const dueAt = isoTime(dueAtMs);
  return {
    text: approvalText(subject, { instance, dueAt: pause === undefined ? dueAt : null, approve: commands.approve }),
    group,
    instance,
    dueAt,
    held: subject?.heldCount ?? null,
    commands,
    links: pause === undefined ? (urls?.approval({ instance, group, dueAtMs, joinMs }) ?? null) : null,
  };
}

/** `dueAt` null: what a pause holds has no deadline. */
function approvalText(
  subject: NoticeSubject | null,
  { instance, dueAt, approve }: { instance: string; dueAt: string | null; approve: string },
): Sentence {
  const { sentence, dimensions } = plainSubject(subject);
  const held = subject?.heldCount ?? 1;
  const policy = subject?.history.birth.policy ?? instance;
  const isGroup = dimensions !== null && dimensions !== "";
  const [by, until] = dueAt === null ? ["", ""] : [` by ${dueAt}`, `在 ${dueAt} 前`];
  return {
    en: `${policy}${isGroup ? ` (${dimensions})` : ""}: ${held} held. ${sentence?.en ?? "It is gone."} Answer${by}: ${approve}`,
    zh: `${policy}${isGroup ? `（${dimensions}）` : ""}：${held} 个待审批。${sentence?.zh ?? "实例已移除。"} 请${until}答复：${approve}`,
  };
}
