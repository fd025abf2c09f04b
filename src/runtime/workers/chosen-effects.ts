/**
 * What a worker runs: it looks at the outbox without claiming, chooses, and claims what it chose, just when it can
 * begin it.
 *
 * C1 what a worker cannot run, or was told to leave, it never claims. C2 notices (requests and summaries for people)
 * before all, whether or not there is room for actions; then the most severe, then the oldest. C3 each effect is looked
 * at once while it waits: a place in each partition says up to where; from time to time, and when the choice became too
 * small, all is looked at again. C4 no policy is begun more often than its rate, by all who are told one.
 */
import { birthOf } from "../../instance/audit.ts";
import { decodeEffect, type Effect, type EffectTopic, isNotice, severityOf } from "../../instance/effect.ts";
import type { Action } from "../../policy/policy.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import type { DimensionLockHold } from "../../stores/dimension-lock.ts";
import type { ClaimedEffect, FreeEffect, FreePosition } from "../../stores/outbox.ts";
import { learnVersions } from "../commit/read-instance.ts";
import type { Runtime } from "../runtime.ts";
import {
  EFFECT_LEASE_MS,
  type EffectSource,
  type Held,
  type HeldByKind,
  type Room,
  type TakenEffects,
} from "./effect-source.ts";
import { type Rate, RateLimits } from "./rate-limits.ts";

const PAGE_COUNT = 500;
/** As many as are chosen from. What is less severe than all of them, or came later, waits in the outbox. */
const CANDIDATE_COUNT_MAX = 5_000;
const LOOKED_AT_AFRESH_EVERY_MS = 60_000;
const POLLED_EVERY_MS = 200;
/** While there is enough to choose from, new effects are looked for no more often than this. */
const LOOKED_FOR_NEW_EVERY_MS = 100;

const NOTICE_RANK = 0;
/** In the order in which they are worked on; what else a `severity` says comes between `warning` and `info`. */
const SEVERITIES: Readonly<Record<string, number>> = {
  page: 1,
  critical: 1,
  error: 2,
  high: 2,
  warning: 3,
  info: 5,
  low: 5,
  none: 6,
};
const OTHER_RANK = 4;
const ACTION_RANKS = [1, 2, 3, 4, 5, 6] as const;
const RANKS = [NOTICE_RANK, ...ACTION_RANKS] as const;

export type EffectChoice = {
  /** null: all. */
  readonly policies: ReadonlySet<string> | null;
  /** Of the action (`webhook`, `exec`, `log`, `handler`), or of a notice (`summary`, `approval-request`); null: all. */
  readonly kinds: ReadonlySet<string> | null;
  /** Actions that this process is able to run. */
  readonly canRun: (action: Action) => boolean;
  /** By policy. */
  readonly rates: ReadonlyMap<string, Rate>;
};

type Candidate = { readonly effect: Effect; readonly topic: EffectTopic };

/** `slot`: of its policy's rate; null: it has none. */
type Chosen = Candidate & { readonly slot: DimensionLockHold | null };

export class ChosenEffects implements EffectSource {
  readonly takesOwn = false;
  readonly polledEveryMs = POLLED_EVERY_MS;
  readonly aheadCount: number;
  isPaused = false;
  readonly #runtime: Runtime;
  readonly #choice: EffectChoice;
  readonly #rates: RateLimits;
  /** Up to where each partition was looked at. */
  readonly #places = new Map<number, FreePosition>();
  /** By rank, in the order in which they were found. */
  readonly #candidates = new Map<number, Map<string, Candidate>>(RANKS.map((rank) => [rank, new Map()]));
  #hasLeftSome = false;
  #lookedAfreshAtMs = Number.NEGATIVE_INFINITY;
  #lookedAtMs = Number.NEGATIVE_INFINITY;

  constructor(runtime: Runtime, choice: EffectChoice, concurrency: number) {
    this.#runtime = runtime;
    this.#choice = choice;
    this.#rates = new RateLimits(runtime.store.lock, { rates: choice.rates, partitions: runtime.partitions });
    this.aheadCount = concurrency;
  }

  room({ actions, notices }: HeldByKind): Room {
    if (this.isPaused) return { actions: 0, notices: 0 };
    const roomBeside = ({ waiting, out }: Held) => this.aheadCount - waiting - out;
    return { actions: roomBeside(actions), notices: roomBeside(notices) };
  }

  async take(room: Room): Promise<TakenEffects> {
    await this.#look(Math.max(room.actions, 0) + Math.max(room.notices, 0));
    // It was paused while it looked: what it found stays a candidate.
    if (this.isPaused) return { effects: [], isMore: null };
    const effects: ClaimedEffect[] = [];
    let left = room;
    for (;;) {
      try {
        const chosen = await this.#choose(left);
        if (chosen.length === 0) break;
        const claimed = await this.#claim(chosen);
        effects.push(...claimed);
        left = roomAfter(left, chosen, claimed);
      } catch (error) {
        if (effects.length === 0) throw error;
        break;
      }
    }
    const isFilled = (kind: keyof Room) => room[kind] > 0 && left[kind] <= 0;
    return { effects, isMore: room.actions <= 0 ? null : isFilled("actions") || isFilled("notices") };
  }

  /** If the store does not answer they are looked for again at once: a shard that is away does not show them then. */
  async #claim(chosen: readonly Chosen[]): Promise<readonly ClaimedEffect[]> {
    const { store, owner } = this.#runtime;
    let claimed: readonly ClaimedEffect[] = [];
    try {
      const effectIds = chosen.map(({ effect }) => effect.id);
      claimed = await store.outbox.claim({ owner, leaseMs: EFFECT_LEASE_MS, effectIds });
    } catch (error) {
      this.#lookedAfreshAtMs = Number.NEGATIVE_INFINITY;
      throw error;
    } finally {
      // Others were faster with the rest.
      const isOurs = new Set(claimed.map(({ id }) => id));
      giveBack(chosen.filter(({ effect }) => !isOurs.has(effect.id)));
    }
    return claimed;
  }

  /** The best, which are candidates no longer. */
  async #choose(room: Room): Promise<readonly Chosen[]> {
    const chosen: Chosen[] = [];
    try {
      await this.#chooseInto(chosen, [NOTICE_RANK], room.notices);
      await this.#chooseInto(chosen, ACTION_RANKS, chosen.length + room.actions);
      return chosen;
    } catch (error) {
      giveBack(chosen);
      this.#lookedAfreshAtMs = Number.NEGATIVE_INFINITY;
      throw error;
    }
  }

  async #chooseInto(chosen: Chosen[], ranks: readonly number[], countMax: number): Promise<void> {
    const usedUp = new Set<string>();
    for (const rank of ranks) {
      const candidates = this.#candidates.get(rank) as Map<string, Candidate>;
      for (const [id, candidate] of candidates) {
        if (chosen.length >= countMax) return;
        const { kind, policy } = candidate.topic;
        const isAction = kind === "action";
        const mayBePaused = isAction && candidate.effect.passesPause !== true;
        if (mayBePaused && this.#runtime.stops.isPaused(0, policy)) continue;
        const isLimited = isAction && this.#rates.isLimited(policy);
        if (isLimited && usedUp.has(policy)) continue;
        const slot = isLimited ? await this.#rates.take(policy) : null;
        if (isLimited && slot === null) usedUp.add(policy);
        // Another look may have chosen it meanwhile.
        else if (candidates.delete(id)) chosen.push({ ...candidate, slot });
        else giveBack([{ slot }]);
      }
    }
  }

  async #look(wanted: number): Promise<void> {
    const nowMs = this.#runtime.clock.now();
    const isSmall = this.#hasLeftSome && this.#candidateCount < CANDIDATE_COUNT_MAX / 2;
    if (isSmall || nowMs - this.#lookedAfreshAtMs >= LOOKED_AT_AFRESH_EVERY_MS) {
      this.#places.clear();
      for (const candidates of this.#candidates.values()) candidates.clear();
      this.#hasLeftSome = false;
      this.#lookedAfreshAtMs = nowMs;
    } else if (this.#candidateCount >= wanted && nowMs - this.#lookedAtMs < LOOKED_FOR_NEW_EVERY_MS) return;
    this.#lookedAtMs = nowMs;
    let partitions = Array.from({ length: this.#runtime.partitions }, (_, partition) => partition);
    while (partitions.length > 0) {
      const looks = await Promise.allSettled(partitions.map((partition) => this.#lookAt(partition)));
      const failed = looks.filter((look) => look.status === "rejected");
      // A shard that is away keeps no other waiting.
      if (failed.length === looks.length) throw failed[0]?.reason;
      const found = looks.map((look) => (look.status === "fulfilled" ? look.value : []));
      partitions = partitions.filter((_, index) => found[index]?.length === PAGE_COUNT);
      await this.#addAll(found.flat());
    }
  }

  async #lookAt(partition: number): Promise<FreeEffect[]> {
    const after = this.#places.get(partition) ?? null;
    const found = await this.#runtime.store.outbox.free({ partition, after, limit: PAGE_COUNT });
    const last = found.at(-1);
    if (last !== undefined) this.#places.set(partition, { freeSinceMs: last.freeSinceMs, id: last.id });
    return found;
  }

  async #addAll(found: FreeEffect[]): Promise<void> {
    found.sort((left, right) => left.freeSinceMs - right.freeSinceMs);
    const topics = await Promise.all(found.map((effect) => this.#topicOf(effect)));
    for (const [index, topic] of topics.entries()) if (topic !== null) this.#add(found[index] as FreeEffect, topic);
  }

  /** null: not for this process. What an effect does not say, its instance's birth does. */
  async #topicOf(stored: FreeEffect): Promise<EffectTopic | null> {
    const effect = decodeEffect(stored);
    const { kind, policy, policyVersion, severity } = effect;
    if (kind !== undefined && policy !== undefined && policyVersion !== undefined) {
      const topic = { kind, policy, policyVersion, ...(severity === undefined ? {} : { severity }) };
      if (!(await this.#isFor(topic))) return null;
      if (severity !== undefined || kind !== "action") return topic;
    }
    const lines = await this.#runtime.store.history(effect.instanceId);
    if (lines === null) return null;
    const birth = birthOf(effect.instanceId, lines);
    const topic = { kind: birth.kind, policy: birth.policy, policyVersion: birth.policyVersion };
    return (await this.#isFor(topic)) ? { ...topic, severity: severityOf(birth.alert) } : null;
  }

  async #isFor({ kind, policy: name, policyVersion: version }: EffectTopic): Promise<boolean> {
    const { policies, kinds, canRun } = this.#choice;
    if (policies !== null && !policies.has(name)) return false;
    const key = policyKey({ name, version });
    if (!this.#runtime.versions.has(key)) await learnVersions(this.#runtime);
    const policy = this.#runtime.versions.get(key)?.policy;
    if (policy === undefined) return false;
    const action = kind === "approval-request" ? policy.approval.notify : policy.action;
    return canRun(action) && (kinds === null || kinds.has(action.kind) || kinds.has(kind));
  }

  #add(stored: FreeEffect, topic: EffectTopic): void {
    const rank = rankOf(topic);
    if (this.#candidateCount >= CANDIDATE_COUNT_MAX) {
      this.#hasLeftSome = true;
      const worst = [...RANKS].reverse().find((other) => (this.#candidates.get(other)?.size ?? 0) > 0) ?? rank;
      if (worst <= rank) return;
      const [first] = this.#candidates.get(worst)?.keys() ?? [];
      if (first !== undefined) this.#candidates.get(worst)?.delete(first);
    }
    this.#candidates.get(rank)?.set(stored.id, { effect: decodeEffect(stored), topic });
  }

  get #candidateCount(): number {
    let count = 0;
    for (const candidates of this.#candidates.values()) count += candidates.size;
    return count;
  }
}

/** A slot that cannot be given back runs out. */
function giveBack(unused: readonly Pick<Chosen, "slot">[]): void {
  for (const { slot } of unused) void slot?.release().catch(() => {});
}

function roomAfter(room: Room, chosen: readonly Candidate[], claimed: readonly ClaimedEffect[]): Room {
  const notices = new Set(chosen.filter(({ topic }) => isNotice(topic)).map(({ effect }) => effect.id));
  const noticeCount = claimed.filter(({ id }) => notices.has(id)).length;
  return { actions: room.actions - (claimed.length - noticeCount), notices: room.notices - noticeCount };
}

/** In which order attempts are worked on: 0 comes first. */
export function rankOf({ kind, severity = "" }: Pick<EffectTopic, "kind" | "severity">): number {
  if (isNotice({ kind })) return NOTICE_RANK;
  return SEVERITIES[severity.toLowerCase()] ?? OTHER_RANK;
}
