/**
 * Runs committed effects in this process, at most `concurrency` at once.
 *
 * Owns: which effects are under way here, and their abort signals. Does not own: the outbox (the store), retries (the machine).
 * E1 an effect runs only from the committed outbox. E2 its result is one command; the machine accepts it only for the current attempt.
 */

import type { EffectPort, EffectResult } from "../../effects/effect-port.ts";
import { birthOf } from "../../instance/audit.ts";
import type { Birth } from "../../instance/audit-types.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import type { OutsideEvent } from "../../instance/decide.ts";
import { CANCELLED_BEFORE_IT_BEGAN, type Effect } from "../../instance/effect.ts";
import { BecalmError } from "../../model/errors.ts";
import type { Action } from "../../policy/policy.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import type { Work } from "../commit/batch-read.ts";
import { tryInstance } from "../commit/read-instance.ts";
import type { World } from "../world.ts";

/**
 * What the commit that emitted an effect left of its instance: read again from the store this is the half of what an attempt costs.
 * It holds for a second: who waited longer for a turn looks whether somebody has cancelled the attempt meanwhile. `birth` null: the instance
 * was made in an earlier commit.
 */
export type JustCommitted = { readonly instance: Instance; readonly birth: Birth | null; readonly atMs: number };

const JUST_COMMITTED_MS = 1_000;

/** An attempt that may be ended from outside. Its signal is made when it is asked for. */
class Attempt {
  readonly effect: Effect;
  private controller: AbortController | null = null;
  private why: Error | null = null;

  constructor(effect: Effect) {
    this.effect = effect;
  }

  get isCancelled(): boolean {
    return this.why !== null;
  }

  get signal(): AbortSignal {
    this.controller ??= new AbortController();
    if (this.why !== null) this.controller.abort(this.why);
    return this.controller.signal;
  }

  cancel(why: string): void {
    this.why ??= new Error(why);
    this.controller?.abort(this.why);
  }
}

export class EffectRunner {
  private readonly world: World;
  private readonly port: EffectPort;
  private readonly concurrency: number;
  /** Who waits for its turn; it is called with the turn of the one that ended. */
  private readonly queue: (() => void)[] = [];
  private readonly underway = new Map<string, Attempt>();
  private running = 0;
  private isClosed = false;

  constructor(world: World, port: EffectPort, concurrency: number) {
    this.world = world;
    this.port = port;
    this.concurrency = concurrency;
  }

  /** Aborts the attempt of an instance, if it runs here: it was cancelled. */
  abort(instanceId: string, why: string): void {
    for (const attempt of this.underway.values()) if (attempt.effect.instanceId === instanceId) attempt.cancel(why);
  }

  /** Begins nothing more: what waits for its turn stays in the outbox. */
  close(): void {
    this.isClosed = true;
    for (const go of this.queue.splice(0)) go();
  }

  abortAll(why: string): void {
    for (const attempt of this.underway.values()) attempt.cancel(why);
  }

  /**
   * Runs one effect and gives the work that reports its result, dated `atMs` as it ends. `committed`: this process has just made its instance.
   * null: its instance cannot be read (quarantined), or the runner was closed before; the effect stays in the outbox.
   */
  async run(effect: Effect, atMs: () => number, committed: JustCommitted | null = null): Promise<Work | null> {
    const attempt = new Attempt(effect);
    this.underway.set(effect.id, attempt);
    if (this.running < this.concurrency) this.running += 1;
    else await new Promise<void>((resolve) => this.queue.push(resolve));
    try {
      // One that ends at once is not waited for, so that its turn is free before anybody else asks for one.
      const started = this.isClosed ? null : this.begin(attempt, isFresh(committed, atMs()) ? committed.birth : null);
      const result = started instanceof Promise ? await started : started;
      return result === null ? null : workOf(effect, eventOf(effect, result, atMs()), committed);
    } finally {
      this.underway.delete(effect.id);
      const next = this.queue.shift();
      if (next === undefined) this.running -= 1;
      else next();
    }
  }

  private begin(attempt: Attempt, birth: Birth | null): EffectResult | null | Promise<EffectResult | null> {
    return birth === null ? this.readAndPerform(attempt) : this.perform(attempt, birth);
  }

  private async readAndPerform(attempt: Attempt): Promise<EffectResult | null> {
    const birth = await this.read(attempt.effect);
    if (birth === "quarantined") return null;
    if (birth === "over") return { ok: false, error: "the attempt was over before it began" };
    return this.perform(attempt, birth);
  }

  private perform(attempt: Attempt, birth: Birth): EffectResult | Promise<EffectResult> {
    const { effect } = attempt;
    const policy = this.world.versions.get(policyKey({ name: birth.policy, version: birth.policyVersion }))?.policy;
    if (policy === undefined)
      return {
        ok: false,
        error: `policy "${birth.policy}" version ${birth.policyVersion} is unknown to this namespace`,
      };
    if (attempt.isCancelled) return { ok: false, error: CANCELLED_BEFORE_IT_BEGAN };
    const action: Action = birth.kind === "approval-request" ? policy.approval.notify : policy.action;
    return this.port.run({
      kind: birth.kind,
      effectId: effect.id,
      attempt: effect.attempt,
      policy: birth.policy,
      instance: effect.instanceId,
      alert: birth.alert,
      notice: birth.notice,
      action,
      get signal() {
        return attempt.signal;
      },
    });
  }

  /** What the effect acts on, from the store. */
  private async read(effect: Effect): Promise<Birth | "over" | "quarantined"> {
    const lines = await this.world.store.history(effect.instanceId);
    const state = await this.stateOf(effect);
    if (state === "quarantined") return state;
    return lines === null || state === "over" ? "over" : birthOf(effect.instanceId, lines);
  }

  /** An effect that was found in the outbox may belong to an attempt that is over: cancelled, or reported by somebody else. */
  private async stateOf(effect: Effect): Promise<"current" | "over" | "quarantined"> {
    const loaded = await this.world.store.load({
      partition: effect.partition,
      groupId: null,
      instanceIds: [effect.instanceId],
    });
    const stored = loaded.instances.get(effect.instanceId);
    if (stored === undefined) return "over";
    const read = await tryInstance(this.world, stored);
    if (read instanceof BecalmError) return "quarantined";
    const { state, context } = read.snapshot;
    return state === "Processing.running" && context.attempt === effect.attempt ? "current" : "over";
  }
}

function workOf(effect: Effect, event: OutsideEvent, committed: JustCommitted | null): Work {
  const command = { type: "event", id: effect.instanceId, event, order: effect.order } as const;
  return { command, settles: effect.id, ...(committed === null ? {} : { known: committed.instance }) };
}

function isFresh(committed: JustCommitted | null, nowMs: number): committed is JustCommitted {
  return committed !== null && nowMs - committed.atMs < JUST_COMMITTED_MS;
}

function eventOf(effect: Effect, result: EffectResult, atMs: number): OutsideEvent {
  const about = { attempt: effect.attempt, atMs, ...(result.result === undefined ? {} : { result: result.result }) };
  return result.ok ? { type: "effect.done", ...about } : { type: "effect.failed", error: result.error, ...about };
}
