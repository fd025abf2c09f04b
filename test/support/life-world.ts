/**
 * One or two engines on one store, by a clock that the test moves: they get the same alerts, answers and time as the slow model of whole
 * lives, and attempts end when the test says so.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { EffectHandlerInput } from "../../src/effects/local-effects.ts";
import { createEngine, type Engine } from "../../src/engine.ts";
import type { PolicyFileDocument } from "../../src/formats/policy-document.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { virtualClock } from "../../src/testing.ts";
import { isLate } from "./lateness.ts";
import type { LifeForm, LifeLabels, LifeLimits, LifePolicy, LifeRow, LifeSilence } from "./slow-life-types.ts";
import { watchStore } from "./watched-store.ts";

const RESULT_LOOKS_MAX = 1_000;
/** How long a machine takes is no assertion. */
const SETTLED = { attempts: "leave", timeoutMs: 60_000 } as const;

type Attempt = { readonly end: (isSuccess: boolean) => void };
/** What the program answers when nobody may say that now. */
const REFUSALS: readonly unknown[] = ["BECALM_EVENT_REFUSED", "BECALM_NOT_FOUND"];

export type LifeReceipt = { readonly status: "firing" | "resolved"; readonly form: LifeForm };

export type LifeSetting = {
  /** Some alerts come as API v2 sends them. */
  readonly hasLeases: boolean;
  readonly policies: readonly LifePolicy[];
  readonly silences: readonly LifeSilence[];
  readonly limits: LifeLimits | null;
};

export class LifeWorld {
  readonly startMs: number;
  readonly clock;
  readonly engines: Engine[] = [];
  readonly begun: string[] = [];
  readonly summaries: string[] = [];
  readonly requests: string[] = [];
  /** Ids in the order in which instances were made. */
  readonly ids: string[] = [];
  readonly #attempts = new Map<string, Attempt>();
  readonly #began = new Map<string, number>();
  readonly #silenceIds = new Map<LifeSilence, string>();
  readonly #setting: LifeSetting;
  #connect: () => Store = memoryStore;

  constructor(setting: LifeSetting, startMs: number) {
    this.#setting = setting;
    this.startMs = startMs;
    this.clock = virtualClock(startMs);
  }

  /** `connect` gives each engine its store. */
  async start(connect: () => Store, engineCount: number): Promise<void> {
    this.#connect = connect;
    for (let count = 0; count < engineCount; count += 1) this.engines.push(await this.#begin());
    // Each has heard of the others.
    if (engineCount > 1) await this.passes(5_000);
  }

  /** One of the engines stops, and another one takes its place. */
  async restarts(at: number): Promise<void> {
    const index = at % this.engines.length;
    await this.#engine(index).stop();
    this.engines[index] = await this.#begin();
  }

  async #begin(): Promise<Engine> {
    const engine = createEngine({
      policies: documentOf(this.#setting),
      store: isLate ? watchStore(this.#connect()).store : this.#connect(),
      clock: this.clock,
      handlers: { act: (input) => this.#act(input) },
      concurrency: 1_000,
      partitions: 4,
      drainMs: 0,
    });
    await engine.start();
    await this.settle();
    return engine;
  }

  get hasLeases(): boolean {
    return this.#setting.hasLeases;
  }

  async stop(): Promise<void> {
    for (const engine of this.engines) await engine.stop();
  }

  settle(): Promise<void> {
    return this.clock.settle(SETTLED);
  }

  async passes(ms: number): Promise<void> {
    await this.clock.advance(ms, SETTLED);
  }

  /** Gives the ids of the instances that the alerts made, in order. */
  async receives(at: number, alerts: readonly LifeLabels[], { status, form }: LifeReceipt): Promise<string[]> {
    const nowMs = this.clock.now();
    const sent = alerts.map((labels) => {
      const name = `${labels.alertname}@${labels.host}`;
      const startsAt = this.#began.get(name) ?? nowMs;
      if (status === "firing") this.#began.set(name, startsAt);
      else this.#began.delete(name);
      const isV4 = form === "v4" ? { status } : {};
      return { labels, startsAt, ...isV4, ...(status === "resolved" ? { endsAt: nowMs } : {}) };
    });
    const { instances, rejected } = await this.#engine(at).ingest(sent);
    if (rejected.length > 0) throw rejected[0]?.error as Error;
    await this.settle();
    const made = instances.filter(({ outcome }) => outcome === "created").map(({ id }) => id);
    this.ids.push(...made);
    return made;
  }

  async ends(id: string, attempt: number, isSuccess: boolean): Promise<void> {
    const found = this.#attempts.get(`${id} ${attempt}`);
    if (found === undefined) throw new Error(`attempt ${attempt} of ${id} has not begun`);
    found.end(isSuccess);
    // A result that is on its way over a network counts for nothing that is under way.
    for (let looks = 0; looks < RESULT_LOOKS_MAX; looks += 1) {
      await this.settle();
      const { state, timers, attempt: latest } = await this.#engine(0).get(id).snapshot();
      if (state !== "Processing" || latest > attempt || "verify" in timers) return;
      await delay(1);
    }
  }

  async sends(at: number, id: string, type: "cancel" | "end" | "start"): Promise<boolean> {
    const who = { by: "ann", why: "x" };
    const event = type === "start" ? ({ type, approved: true, ...who } as const) : ({ type, ...who } as const);
    return this.#isTaken(this.#engine(at).get(id).send(event));
  }

  async answers(
    at: number,
    target: { id: string } | { group: string },
    { how, by }: { how: "approve" | "deny"; by: string },
  ): Promise<boolean> {
    return this.#isTaken(this.#engine(at)[how](target, { by, why: "x" }));
  }

  async pauses(at: number, scope: string): Promise<boolean> {
    return this.#isTaken(this.#engine(at).pause({ by: "ann", why: "stop", ...policyOf(scope) }));
  }

  async resumes(at: number, scope: string, held: "keep" | "decide" | "deny"): Promise<boolean> {
    return this.#isTaken(this.#engine(at).resume({ by: "ann", why: "go", held, ...policyOf(scope) }));
  }

  async silences(at: number, silence: LifeSilence): Promise<void> {
    const request = { match: matchersOf(silence), toMs: silence.toMs, by: "ann", why: "x" };
    const { id } = await this.#engine(at).silence(request);
    this.#silenceIds.set(silence, id);
    await this.settle();
  }

  async expires(at: number, silence: LifeSilence): Promise<void> {
    await this.#engine(at).expireSilence(this.#silenceIds.get(silence) as string);
    await this.settle();
  }

  async rows(): Promise<LifeRow[]> {
    const { instances } = await this.#engine(0).list({ limit: 1_000 });
    const byId = new Map(instances.map((one) => [one.id, one]));
    return this.ids.map((id) => {
      const found = byId.get(id);
      if (found === undefined) throw new Error(`${id} is not listed`);
      const { policy, labels, state, reason, attempt, timers } = found;
      const shown = Object.entries(timers).filter(([name, { dueAtMs }]) => name !== "silence" && dueAtMs < 1e14);
      return {
        policy,
        alert: `${labels?.["alertname"]}@${labels?.["host"]}`,
        state,
        reason: String(reason),
        attempts: attempt,
        timer: shown.length === 0 ? null : shown.map(([name, { dueAtMs }]) => `${name} ${dueAtMs}`).join(),
      };
    });
  }

  async groupOf(id: string): Promise<string | null> {
    return (await this.#engine(0).get(id).snapshot()).group;
  }

  /** Its whole life, without the steps that stayed in their state. */
  async pathOf(id: string): Promise<string[]> {
    const { entries } = await this.#engine(0).get(id).history();
    return entries.flatMap(({ path }) => path).filter((state, index, all) => state !== all[index - 1]);
  }

  #engine(at: number): Engine {
    return this.engines[at % this.engines.length] as Engine;
  }

  async #isTaken(done: Promise<unknown>): Promise<boolean> {
    const isTaken = await done.then(
      () => true,
      (error: { code?: unknown }) => {
        if (REFUSALS.includes(error.code)) return false;
        throw error;
      },
    );
    await this.settle();
    return isTaken;
  }

  #act({ kind, instance, attempt, policy, notice }: EffectHandlerInput): Promise<unknown> | undefined {
    if (kind !== "action") {
      if (notice?.kind === "approval-request" && notice.pause === undefined)
        this.requests.push(`${policy} due ${notice.dueAtMs}`);
      if (notice?.kind === "summary") this.summaries.push(`${policy}: ${notice.skipped} at ${this.clock.now()}`);
      return undefined;
    }
    const name = `${instance} ${attempt}`;
    // A process that stopped had begun it, too.
    if (!this.begun.includes(name)) this.begun.push(name);
    return new Promise((resolve, reject) => {
      const end = (isSuccess: boolean) => (isSuccess ? resolve("done") : reject(new Error("it did not work")));
      this.#attempts.set(name, { end });
    });
  }
}

function policyOf(scope: string): { policy?: string } {
  return scope === "" ? {} : { policy: scope };
}

function matchersOf({ alertname, host }: LifeSilence): string[] {
  return [`alertname="${alertname}"`, ...(host === undefined ? [] : [`host="${host}"`])];
}

function documentOf({ policies, silences, limits }: LifeSetting): PolicyFileDocument {
  return {
    ...(limits === null ? {} : { limits: limitsOf(limits) }),
    silences: silences.map((silence) => ({
      match: matchersOf(silence),
      from: new Date(silence.fromMs).toISOString(),
      to: new Date(silence.toMs).toISOString(),
      author: "ops",
      comment: "x",
    })),
    policies: policies.map((policy) => ({
      name: policy.name,
      match: [`alertname=~"${policy.alerts.join("|")}"`],
      action: { handler: { name: "act" } },
      ...(policy.rule === null ? {} : { converge: ruleOf(policy.rule) }),
      retry: { limit: policy.retry.limit, delay: `${policy.retry.delayMs}ms`, backoff: policy.retry.backoff },
      approval: { timeout: `${policy.approvalMs}ms`, quorum: policy.quorum, notify: { handler: { name: "act" } } },
      on_resolved: policy.onResolved,
      after_silence: policy.afterSilence,
      mode: policy.isObserving ? "observe" : "act",
      ...(policy.verifyMs === null ? {} : { verify: { resolved_within: `${policy.verifyMs}ms` } }),
      ...(policy.again === null ? {} : { again: { after: `${policy.again.afterMs}ms`, limit: policy.again.limit } }),
      ...(policy.limits === null ? {} : { limits: limitsOf(policy.limits) }),
    })),
  } as PolicyFileDocument;
}

function limitsOf({ actions, failures, perMs }: LifeLimits): object {
  return { actions, failures, per: `${perMs}ms` };
}

function ruleOf({ windowMs, maxWindowMs, summaryDelayMs, ...rule }: NonNullable<LifePolicy["rule"]>): object {
  return {
    ...rule,
    window: `${windowMs}ms`,
    ...(maxWindowMs === undefined ? {} : { max_window: `${maxWindowMs}ms` }),
    ...(summaryDelayMs === undefined ? {} : { summary_delay: `${summaryDelayMs}ms` }),
  };
}
