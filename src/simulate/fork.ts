/** Another future: a timeline in which something else happened from one moment on. Pure. */
import type { EventInput } from "../instance/event-input.ts";
import type { RecordedAttempt } from "./recorded-history.ts";
import { attemptKey, orderOf, type Timeline, type TimelineInput } from "./timeline.ts";

/** Something that is tried instead. A result is that of the attempt under way. */
export type TriedEvent =
  | { readonly kind: "event"; readonly atMs: number; readonly event: EventInput }
  | { readonly kind: "result"; readonly atMs: number; readonly end: "done" | "failed"; readonly error: string };

export type InstanceFork = {
  /** Of the instance, without its partition. */
  readonly name: string;
  /** What people sent to it after this version is left out. */
  readonly version: number;
  /** Of the attempt under way then; null: none is. */
  readonly attempt: { readonly number: number; readonly beganAtMs: number } | null;
  readonly tried: readonly TriedEvent[];
};

export function forkedInstance(timeline: Timeline, { name, version, attempt, tried }: InstanceFork): Timeline {
  const kept = timeline.inputs.filter(
    (input) => input.kind !== "event" || input.name !== name || (input.version ?? 0) <= version,
  );
  const events = tried.flatMap((one): TimelineInput[] =>
    one.kind === "event" ? [{ kind: "event", atMs: one.atMs, name, version: null, event: one.event }] : [],
  );
  const attempts = new Map(timeline.attempts);
  for (const one of tried)
    if (one.kind === "result" && attempt !== null) attempts.set(attemptKey(name, attempt.number), ended(one, attempt));
  return { ...timeline, attempts, inputs: inOrder([...kept, ...events]) };
}

export type GroupFork = {
  readonly group: string;
  readonly answers: readonly { readonly atMs: number; readonly event: EventInput & GroupAnswer }[];
};

type GroupAnswer = { readonly type: "approval.granted" | "approval.denied" };

/** What people answered to instances of the group after the first of the answers is left out. */
export function forkedGroup(timeline: Timeline, { group, answers }: GroupFork): Timeline {
  const fromMs = Math.min(...answers.map(({ atMs }) => atMs));
  const kept = timeline.inputs.filter(
    ({ kind, atMs, ...input }) => kind !== "event" || atMs < fromMs || !("event" in input) || !isAnswer(input.event),
  );
  const inputs = answers.map(({ atMs, event }): TimelineInput => ({ kind: "answer", atMs, group, event }));
  return { ...timeline, inputs: inOrder([...kept, ...inputs]) };
}

function isAnswer({ type }: EventInput): boolean {
  return type === "approval.granted" || type === "approval.denied";
}

function ended(
  { atMs, end, error }: TriedEvent & { kind: "result" },
  { number, beganAtMs }: { number: number; beganAtMs: number },
): RecordedAttempt {
  const how = end === "done" ? { kind: "done" as const, atMs } : { kind: "failed" as const, atMs, error };
  return { attempt: number, beganAtMs, end: how };
}

function inOrder(inputs: TimelineInput[]): TimelineInput[] {
  return inputs.sort((a, b) => a.atMs - b.atMs || orderOf(a) - orderOf(b));
}
