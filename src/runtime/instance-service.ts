/**
 * The verbs on stored instances that are the same in live and in virtual time: send, approve, deny. A driver commits
 * them.
 */
import type { GroupAnswer } from "../convergence/group-answer.ts";
import { decodeGroup } from "../convergence/group-codec.ts";
import { acceptedText } from "../instance/accepted-events.ts";
import type { Instance } from "../instance/checkpoint.ts";
import type { OutsideEvent } from "../instance/decide.ts";
import { type EventInput, readEvent } from "../instance/event-input.ts";
import { BecalmError } from "../model/errors.ts";
import { partitionOf, partitionOfId } from "../model/ids.ts";
import { hasGranted } from "../model/person.ts";
import type { EnvelopeResult } from "./commit/batch.ts";
import { NOTHING } from "./commit/batch.ts";
import { tryInstance } from "./commit/read-instance.ts";
import { InstanceReader, notFound } from "./instance-reader.ts";
import type { Driver, Runtime } from "./runtime.ts";
import { silenceOf } from "./workers/timers.ts";

const HELD_PAGE_COUNT = 150;

export type SendOptions = { readonly ifVersion?: readonly number[] };

export class InstanceService extends InstanceReader {
  readonly #driver: Pick<Driver, "submit">;
  readonly #now: () => number;

  /** `now`: dates what is sent. */
  constructor(runtime: Runtime, driver: Pick<Driver, "submit">, now: () => number) {
    super(runtime);
    this.#driver = driver;
    this.#now = now;
  }

  /**
   * Sends an event. Throws BECALM_EVENT_REFUSED when the state has no edge for it, BECALM_ARGUMENT_INVALID when it is
   * no event, and BECALM_VERSION_MOVED when the instance is at none of the versions `ifVersion`, which the commit
   * asserts.
   */
  async send(id: string, input: EventInput, options?: SendOptions): Promise<Instance> {
    const event = readEvent(input, this.#now());
    const [result] = await this.#sendAll([await this.instance(id)], event, options?.ifVersion);
    const isAnswer = event.type === "approval.granted" || event.type === "approval.denied";
    const answered = isAnswer && result?.outcome === "refused" ? await this.#lastAnswer(id) : null;
    return accepted(id, event, { result: result as EnvelopeResult, answered });
  }

  /** Who answered the approval of an instance last; null: nobody has, or its history cannot be read. */
  async #lastAnswer(id: string): Promise<Answer | null> {
    const history = await this.history(id).catch(() => null);
    const answers = (history?.entries ?? []).flatMap(({ event, atMs }): Answer[] => {
      if (event.type === "approval.granted") return [{ by: event.by, did: "granted it", why: event.why, atMs }];
      if (event.type === "approval.denied") return [{ by: event.by, did: "denied it", why: event.why, atMs }];
      const isOver = event.type === "timer.elapsed" && event.timer === "approval";
      return isOver ? [{ by: "nobody", did: "answered in time", why: null, atMs }] : [];
    });
    return answers.at(-1) ?? null;
  }

  /** Grants or denies one instance, or all that a group holds. Gives the instances that it decided. */
  async answer(
    target: { id: string } | { group: string },
    input: EventInput & { type: "approval.granted" | "approval.denied" },
  ): Promise<Instance[]> {
    if ("id" in target) return [await this.send(target.id, input)];
    const event = readEvent(input, this.#now());
    const decided: Instance[] = [];
    // Who is held again meanwhile (its granted run has failed) asks anew: this answer is not for it.
    const asked = new Set<string>();
    let offset = 0;
    let counted: EnvelopeResult | null = null;
    for (;;) {
      const held = await this.#held(target.group, offset);
      if (held.length === 0) break;
      const ids = held.filter((id) => !asked.has(id));
      for (const id of ids) asked.add(id);
      const results = await this.#sendAll(await this.#readable(target.group, ids), event);
      const taken = results.flatMap(({ outcome, instance }) => (outcome === "applied" ? [instance as Instance] : []));
      decided.push(...taken);
      counted ??= results.find((result) => hasCounted(event, result)) ?? null;
      // A grant of several that are needed lets them be held on.
      offset += held.length - taken.filter(({ snapshot }) => !isHeld(snapshot.state)).length;
    }
    if (decided.length > 0) return decided;
    if (counted?.instance != null) throw refused(counted.instance, event, null);
    throw holdsNobody(target.group, await this.#groupAnswer(target.group));
  }

  /** Who answered for a group last; null: nobody has, or its record is gone or cannot be read. */
  async #groupAnswer(groupId: string): Promise<Answer | null> {
    const partition = partitionOf(groupId, this.runtime.partitions);
    const { group } = await this.runtime.store.load({ partition, groupId, instanceIds: [] });
    const answered = group === null ? undefined : answeredIn(groupId, group.value);
    if (answered === undefined) return null;
    const { did, by, atMs } = answered;
    if (did === "timeout") return { by: "nobody", did: "answered in time", why: null, atMs };
    return { by: by ?? "", did: `${did} it`, why: null, atMs };
  }

  #held(group: string, offset: number): Promise<string[]> {
    const partition = partitionOf(group, this.runtime.partitions);
    return this.runtime.store.members({ groupId: group, partition, set: "held", limit: HELD_PAGE_COUNT, offset });
  }

  /**
   * Those of a group's instances that can be read: one that is quarantined does not keep the others from being decided.
   */
  async #readable(group: string, ids: readonly string[]): Promise<Instance[]> {
    const partition = partitionOf(group, this.runtime.partitions);
    const { instances } = await this.runtime.store.load({ partition, groupId: null, instanceIds: ids });
    const stored = ids.flatMap((id) => instances.get(id) ?? []);
    const read = await Promise.all(stored.map((one) => tryInstance(this.runtime, one)));
    return read.flatMap((one) => (one instanceof BecalmError ? [] : [one]));
  }

  async #sendAll(
    instances: readonly Instance[],
    event: OutsideEvent,
    ifVersion?: readonly number[],
  ): Promise<readonly EnvelopeResult[]> {
    const condition = ifVersion === undefined ? {} : { ifVersion };
    const envelopes = await Promise.all(
      instances.map(async ({ id, groupId }) => ({
        address: { partition: partitionOfId(id) ?? 0, groupId },
        command: { type: "event" as const, id, event: await this.#withSilence(id, event), ...condition },
        consumes: NOTHING,
        lastSeen: null,
      })),
    );
    return this.#driver.submit(envelopes);
  }

  /** A grant passes an active silence; the audit names both. */
  async #withSilence(id: string, event: OutsideEvent): Promise<OutsideEvent> {
    if (event.type !== "approval.granted" && event.type !== "start") return event;
    return { ...event, silence: await silenceOf(this.runtime, id, event.atMs) };
  }
}

type Answer = { readonly by: string; readonly did: string; readonly why: string | null; readonly atMs: number };

/** `ann granted it at 2026-11-23T03:07:01.000Z ("looked at it")` */
function answerText({ by, did, why, atMs }: Answer): string {
  return `${by} ${did} at ${new Date(atMs).toISOString()}${why === null ? "" : ` (${JSON.stringify(why)})`}`;
}

function answeredIn(groupId: string, value: string): GroupAnswer | undefined {
  try {
    return decodeGroup(groupId, value).answered;
  } catch (error) {
    if (error instanceof BecalmError) return undefined;
    throw error;
  }
}

function holdsNobody(group: string, answered: Answer | null): BecalmError {
  const before = answered === null ? "" : `: ${answerText(answered)}`;
  return new BecalmError(
    "BECALM_NOT_FOUND",
    `Group ${group} holds no instance that could be decided${before}. \`becalm ls --state Waiting\` shows who waits.`,
    { details: { group, ...(answered === null ? {} : { answered: { by: answered.by, atMs: answered.atMs } }) } },
  );
}

function accepted(
  id: string,
  event: OutsideEvent,
  { result, answered }: { result: EnvelopeResult; answered: Answer | null },
): Instance {
  if (result.outcome === "applied") return result.instance as Instance;
  if (result.outcome === "quarantined") throw result.error;
  if (result.outcome === "missing") throw notFound(id);
  const instance = result.instance as Instance;
  if (result.outcome === "moved") throw movedOn(id, instance.version);
  throw refused(instance, event, answered);
}

function refused({ id, snapshot }: Instance, event: OutsideEvent, answered: Answer | null): BecalmError {
  const { state } = snapshot;
  const why = refusalText(snapshot, event, answered);
  return new BecalmError(
    "BECALM_EVENT_REFUSED",
    `Instance ${id} does not accept ${event.type}: ${why}. It accepts ${acceptedText(snapshot, event.atMs)}.`,
    {
      details: {
        id,
        state,
        event: event.type,
        ...(answered === null ? {} : { answered: { by: answered.by, atMs: answered.atMs, why: answered.why } }),
      },
    },
  );
}

function refusalText({ state, context }: Instance["snapshot"], event: OutsideEvent, answered: Answer | null): string {
  if (event.type === "approval.granted" && state === "Waiting") {
    if (hasGranted(context.grants, event.by)) return `${event.by} has granted it already, and it needs another person`;
    const due = context.timers.approval?.dueAtMs;
    if (due !== undefined) return `its approval was due at ${new Date(due).toISOString()}`;
  }
  const moved = answered === null ? "" : `${answerText(answered)}, and `;
  return `${moved}it is ${state.split(".")[0]}`;
}

/** Refused, because this person's grant counts already. */
function hasCounted(event: OutsideEvent, { outcome, instance }: EnvelopeResult): boolean {
  if (outcome !== "refused" || event.type !== "approval.granted") return false;
  return hasGranted(instance?.snapshot.context.grants ?? [], event.by);
}

function isHeld(state: string): boolean {
  return state === "Waiting" || state === "Defense";
}

function movedOn(id: string, version: number): BecalmError {
  const text = `Instance ${id} has moved on to version ${version}. Look at it again, then decide again.`;
  return new BecalmError("BECALM_VERSION_MOVED", text, { details: { id, version } });
}
