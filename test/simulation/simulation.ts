/**
 * One schedule: engines of the library on one memory store, a sender, people, targets, and what goes wrong; all of it chosen by a seed.
 *
 * Owns: when anything of that happens, and what is recorded of it. Does not own: what must hold (test/checkers).
 */

import type { EffectHandlerInput } from "../../src/effects/handler-effect.ts";
import { createEngine, type Engine } from "../../src/engine.ts";
import type { AlertInput } from "../../src/formats/alert-input.ts";
import { policySetFrom } from "../../src/formats/policy-file.ts";
import { STOPS_KEY } from "../../src/instance/stops-record.ts";
import { BecalmError, errorCode, messageOf } from "../../src/model/errors.ts";
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import type { PolicySet } from "../../src/policy/policy.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { Commit, CommitOutcome, Store } from "../../src/stores/store.ts";
import { recordStore } from "../checkers/record-store.ts";
import type { Delivery, Recording, SentRequest } from "../checkers/recording.ts";
import type { Network, Scenario } from "./scenario.ts";
import { Scheduler, SimulatedProcess } from "./scheduler.ts";
import { SeededRandom } from "./seeded-random.ts";
import { simulateGlobals } from "./simulated-globals.ts";
import { simulatedStore } from "./simulated-store.ts";

const START_MS = 1_795_413_600_000;
const CALM_STEP_MS = 600;
const CALM_LEAP_MS = 1_900;
const CALM_STEPS_MAX = 80;
const RESTARTED_AFTER_MS = 1_000;
const FORGOTTEN_AFTER_MS = 12 * 24 * 3_600_000;
const RETENTION_MS = 600_000;
/** The instances of one commit follow each other within one step. */
const PLACES_IN_COMMIT = 1_000;
const OPEN_STATES = ["Idle", "Processing", "Proceeding", "Defense", "Waiting", "Failed", "Skipped"];
const CALM_NETWORK = { stalls: 0, stallMsMax: 0, failures: 0, lostReplies: 0, repeats: 0, wrongMembers: 0 };

/** Makes an engine as a process of its own would. Whatever composes a runtime in another way is given here. */
export type MakeEngine = (parts: {
  readonly store: Store;
  readonly policies: PolicySet;
  readonly scenario: Scenario;
  readonly act: (input: EffectHandlerInput) => Promise<unknown>;
  readonly onFault: (text: string) => void;
}) => Engine;

export const libraryEngine: MakeEngine = ({ store, policies, scenario, act, onFault }) =>
  createEngine({
    policies,
    store,
    partitions: scenario.partitions,
    handlers: { act },
    ...(scenario.isForgotten ? { retentionMs: RETENTION_MS } : {}),
    logger: { debug: () => {}, info: () => {}, warn: () => {}, error: (_, message) => onFault(message) },
  });

type Running = { readonly process: SimulatedProcess; readonly engine: Engine };

type Writable<Value> = { -readonly [Key in keyof Value]: Value[Key] };

export async function runSchedule(
  scenario: Scenario,
  seed: number,
  makeEngine: MakeEngine = libraryEngine,
): Promise<{ recording: Recording; steps: number }> {
  const random = new SeededRandom(seed);
  const scheduler = new Scheduler(random, START_MS);
  const restore = simulateGlobals({ scheduler, random });
  try {
    const recording = await new Simulation({ scenario, random, scheduler, makeEngine }).run();
    return { recording, steps: scheduler.stepCount };
  } finally {
    restore();
  }
}

type Parts = {
  readonly scenario: Scenario;
  readonly random: SeededRandom;
  readonly scheduler: Scheduler;
  readonly makeEngine: MakeEngine;
};

class Simulation {
  readonly #scenario: Scenario;
  readonly #random: SeededRandom;
  readonly #scheduler: Scheduler;
  readonly #makeEngine: MakeEngine;
  readonly #store: Store;
  readonly #policies: PolicySet;
  readonly #running: Running[] = [];
  readonly #requests: Writable<SentRequest>[] = [];
  readonly #deliveries: Delivery[] = [];
  readonly #faultLines: { atMs: number; text: string }[] = [];
  readonly #commitOrder = new Map<string, number>();
  readonly #pauses: { fromOrder: number; untilOrder: number | null }[] = [];
  readonly #looks: { atMs: number; order: number }[] = [];
  readonly #episodeKeys = new Map<string, number>();
  #unknownCount = 0;
  #changes = 0;
  #resuming = 0;
  #processCount = 0;
  #isCalm = false;

  constructor({ scenario, random, scheduler, makeEngine }: Parts) {
    this.#scenario = scenario;
    this.#random = random;
    this.#scheduler = scheduler;
    this.#makeEngine = makeEngine;
    this.#store = memoryStore({ now: () => scheduler.nowMs });
    this.#policies = policiesOf(scenario, random);
  }

  async run(): Promise<Recording> {
    for (let count = 0; count < this.#scenario.engines; count += 1) this.#begin();
    const endMs = this.#plan();
    await this.#scheduler.runUntil(endMs);
    await this.#comeToRest();
    const recording = await this.#record();
    return this.#scenario.isForgotten ? { ...recording, leftovers: await this.#forget() } : recording;
  }

  /** A process starts: from here on everything that it schedules is its own. */
  #begin(): void {
    const { skewMsMax } = this.#scenario;
    this.#processCount += 1;
    const process = new SimulatedProcess(`engine ${this.#processCount}`, this.#random.between(0, skewMsMax));
    const store = simulatedStore(this.#store, {
      scheduler: this.#scheduler,
      random: this.#random,
      process,
      network: () => this.#network(),
      onPoll: (method) => {
        const { nowMs, stepCount } = this.#scheduler;
        if (method === "timers") this.#looks.push({ atMs: nowMs, order: stepCount });
      },
      onCommit: (commit, outcome) => this.#committed(commit, outcome),
      onUnknown: () => {
        this.#unknownCount += 1;
      },
    });
    const engine = this.#makeEngine({
      store,
      policies: this.#policies,
      scenario: this.#scenario,
      act: (input) => this.#act(process, input),
      onFault: (text) => void this.#faultLines.push({ atMs: this.#scheduler.nowMs, text }),
    });
    this.#running.push({ process, engine });
    const start = () => void engine.start().catch(() => this.#scheduler.add({ process, delayMs: 500 }, start));
    this.#scheduler.add({ process, delayMs: 0 }, start);
  }

  #network(): Network {
    const { network } = this.#scenario;
    return this.#isCalm ? { ...CALM_NETWORK, delayMsMax: Math.min(network.delayMsMax, 1) } : network;
  }

  /** Everything that comes from outside, each at its time. Returns when the last of it is over. */
  #plan(): number {
    const { requests, gapsMs, crashes, stops, answers, pauses } = this.#scenario;
    let atMs = 0;
    for (let count = 0; count < requests; count += 1) {
      atMs += this.#random.pick(gapsMs);
      this.#at(atMs, () => this.#send());
    }
    const spanMs = atMs + 3_000;
    const sometime = (count: number, act: () => void) => {
      for (let left = count; left > 0; left -= 1) this.#at(this.#random.below(spanMs), act);
    };
    sometime(this.#random.below(crashes + 1), () => this.#crash());
    sometime(this.#random.below(stops + 1), () => this.#stop());
    sometime(answers, () => this.#answer());
    sometime(this.#random.below(pauses + 1), () => this.#pause());
    return this.#scheduler.nowMs + spanMs;
  }

  #at(delayMs: number, act: () => void): void {
    this.#scheduler.add({ process: null, delayMs }, act);
  }

  /** Lets a process that lives do something; nothing happens if there is none. */
  #by(act: (engine: Engine) => void): void {
    const living = this.#living;
    if (living.length === 0) return;
    const { process, engine } = this.#random.pick(living);
    this.#scheduler.add({ process, delayMs: 0 }, () => act(engine));
  }

  get #living(): readonly Running[] {
    return this.#running.filter(({ process }) => !process.isDead);
  }

  #send(): void {
    const { alertsPerRequestMax, resolves } = this.#scenario;
    const alerts: AlertInput[] = [];
    for (let left = this.#random.between(1, alertsPerRequestMax); left > 0; left -= 1)
      alerts.push(this.#alert(this.#random.chance(resolves)));
    this.#by((engine) => this.#ingest(engine, alerts));
  }

  #ingest(engine: Engine, alerts: readonly AlertInput[]): void {
    const fingerprints = alerts.map((alert) => fingerprintOf((alert as { labels: Record<string, string> }).labels));
    const request: Writable<SentRequest> = {
      atMs: this.#scheduler.nowMs,
      answeredAtMs: null,
      answeredOrder: null,
      resolved: alerts.flatMap((alert, index) =>
        (alert as { status?: string }).status === "resolved" ? [fingerprints[index] as string] : [],
      ),
      taken: [],
      refused: [],
      error: null,
    };
    this.#requests.push(request);
    const unknownBefore = this.#unknownCount;
    const answered = () => {
      request.answeredAtMs = this.#scheduler.nowMs;
      request.answeredOrder = this.#scheduler.stepCount;
    };
    engine.ingest(alerts).then(
      ({ instances, rejected }) => {
        answered();
        request.taken = instances.map(({ id, outcome }) => ({ id, outcome }));
        const isUnknown = this.#unknownCount > unknownBefore;
        request.refused = rejected.map(({ alert, error }) => {
          return { fingerprint: fingerprints[alert] ?? "", code: error.code, isUnknown };
        });
      },
      (error: unknown) => {
        answered();
        if (!(error instanceof BecalmError)) throw error;
        request.error = messageOf(error);
      },
    );
  }

  #alert(isResolved: boolean): AlertInput {
    const { hosts, names } = this.#scenario;
    const labels = { alertname: "Full", host: `h${this.#random.below(hosts)}`, name: `a${this.#random.below(names)}` };
    return { labels, status: isResolved ? "resolved" : "firing", ...this.#start() };
  }

  #start(): { startsAt?: number } {
    const agoMs = this.#random.pick(this.#scenario.startedAgoMs);
    return agoMs === null ? {} : { startsAt: START_MS - agoMs };
  }

  /** The target: it hears of an attempt, and answers some time later. */
  #act(process: SimulatedProcess, { instance, attempt, idempotencyKey }: EffectHandlerInput): Promise<unknown> {
    const { nowMs, stepCount } = this.#scheduler;
    this.#deliveries.push({
      atMs: nowMs,
      order: stepCount,
      instance,
      attempt,
      key: idempotencyKey,
      process: process.name,
    });
    const { delaysMs, failures } = this.#scenario.handler;
    const isFailed = this.#random.chance(failures);
    return new Promise((resolve, reject) => {
      const end = () => (isFailed ? reject(new Error("it did not work")) : resolve(undefined));
      this.#scheduler.add({ process, delayMs: this.#random.pick(delaysMs) }, end);
    });
  }

  #crash(): void {
    const living = this.#living;
    if (living.length === 0) return;
    this.#random.pick(living).process.isDead = true;
    if (this.#random.chance(0.8)) this.#at(this.#random.below(RESTARTED_AFTER_MS), () => this.#begin());
  }

  #stop(): void {
    const living = this.#living;
    if (living.length === 0) return;
    const { process } = this.#random.pick(living);
    process.stoppedUntilMs = this.#scheduler.nowMs + this.#random.pick(this.#scenario.stopsMs);
  }

  /** A person answers somebody who waits, or stops an attempt, or runs it anyway. */
  #answer(): void {
    void this.#store.list({ limit: 20 }).then(
      ({ instances }) => {
        if (instances.length === 0) return;
        const { id } = this.#random.pick(instances);
        const type = this.#random.pick([
          "approval.granted",
          "approval.granted",
          "approval.denied",
          "cancel",
          "end",
        ] as const);
        this.#by((engine) => void engine.get(id).send({ type, by: "ada", why: "looked at it" }).catch(onlyRefused));
      },
      () => undefined,
    );
  }

  #pause(): void {
    this.#by((engine) => {
      const changesBefore = this.#changes;
      engine.pause({ by: "ada", why: "look first" }).then(() => {
        // Whoever resumes at the same time may have lifted it already.
        if (this.#changes !== changesBefore || this.#resuming > 0) return;
        this.#pauses.push({ fromOrder: this.#scheduler.stepCount, untilOrder: null });
      }, onlyRefused);
    });
    this.#at(this.#random.below(4_000), () => this.#resume(this.#random.pick(["decide", "deny"])));
  }

  /** From the call on nothing is certain: it lifts every pause that holds, and has done so at the latest when it is answered. */
  #resume(held: "decide" | "deny"): void {
    this.#by((engine) => {
      this.#changes += 1;
      this.#resuming += 1;
      for (const pause of this.#pauses) pause.untilOrder ??= this.#scheduler.stepCount;
      const answered = engine.resume({ by: "ada", why: "over", held }).catch(onlyRefused);
      void answered.finally(() => {
        this.#resuming -= 1;
      });
    });
  }

  #committed(commit: Commit, outcome: CommitOutcome): void {
    for (const { key } of commit.episodes) if (key !== STOPS_KEY) this.#episodeKeys.set(key, commit.partition);
    if (outcome !== "applied") return;
    for (const [index, { id, expectedVersion }] of commit.instances.entries())
      this.#commitOrder.set(`${id} ${expectedVersion + 1}`, this.#scheduler.stepCount + index / PLACES_IN_COMMIT);
  }

  /** The faults are over; whoever is dead comes back, pauses are lifted, and time passes until nothing moves any longer. */
  async #comeToRest(): Promise<void> {
    this.#isCalm = true;
    if (this.#living.length === 0) this.#begin();
    for (let count = 0; count < CALM_STEPS_MAX; count += 1) {
      // Where nothing is promised about when timers fire, nobody need look for them every half second.
      if (this.#scenario.promises.lateMsMax === null) this.#scheduler.leap(CALM_LEAP_MS);
      if (this.#scenario.pauses > 0) this.#resume("deny");
      await this.#scheduler.runUntil(this.#scheduler.nowMs + CALM_STEP_MS);
      if (await this.#isAtRest()) break;
    }
  }

  async #isAtRest(): Promise<boolean> {
    for (const under of OPEN_STATES) {
      if (under === "Waiting" && this.#waitForPeople) continue;
      const { instances } = await this.#store.list({ limit: 1, under });
      if (instances.length > 0) return false;
    }
    const due = await this.#store.timers({ lane: "work", untilMs: Number.MAX_SAFE_INTEGER, limit: 1 });
    const effects = await this.#store.listEffects({ limit: 1 });
    return due.length + effects.length === 0;
  }

  /** Approvals outlast the run. */
  get #waitForPeople(): boolean {
    return this.#scenario.approvalMs > RETENTION_MS;
  }

  async #record(): Promise<Recording> {
    const scenario = this.#scenario;
    return {
      ...(await recordStore(this.#store)),
      requests: this.#requests,
      deliveries: this.#deliveries,
      commitOrder: this.#commitOrder,
      pauses: this.#pauses,
      faultLines: this.#faultLines,
      looksForTimers: scenario.promises.lateMsMax === null ? null : this.#looks,
      leftovers: null,
      startedAtMs: START_MS,
      endedAtMs: this.#scheduler.nowMs,
      promises: {
        ...scenario.promises,
        skewMsMax: scenario.skewMsMax,
        answeredWithinMs: 120_000,
        faultLinesPerSecondMax: 5,
        isAtRest: !this.#waitForPeople,
      },
    };
  }

  /** Long after the retention. */
  async #forget(): Promise<string[]> {
    const waiting = (await this.#store.list({ limit: 10_000, under: "Waiting" })).instances.map(({ id }) => id);
    this.#scheduler.leap(FORGOTTEN_AFTER_MS);
    await this.#scheduler.runUntil(this.#scheduler.nowMs + CALM_STEP_MS);
    const { instances, timers, effects } = await this.#record();
    const there = new Set(instances.map(({ id }) => id));
    const left = waiting.filter((id) => !there.has(id)).map((id) => `nothing of ${id}, which waits for a person,`);
    if (waiting.length > 0) return left;
    left.push(
      ...instances.map(({ id }) => `instance ${id}`),
      ...timers.map(({ owner, name }) => `timer ${name} of ${owner}`),
      ...effects.map(({ id }) => `effect ${id}`),
    );
    for (const [key, partition] of this.#episodeKeys) {
      const { episodes } = await this.#store.load({ partition, groupId: null, instanceIds: [], episodeKeys: [key] });
      if (episodes.size > 0) left.push(`episode ${key}`);
    }
    return left;
  }
}

function onlyRefused(error: unknown): void {
  if (!(error instanceof BecalmError)) throw error;
  void errorCode(error);
}

const parsed = new Map<string, PolicySet>();

function policiesOf(scenario: Scenario, random: SeededRandom): PolicySet {
  const fn = random.pick(scenario.functions);
  const count = random.pick(scenario.counts);
  const limit = random.pick(scenario.retryLimits);
  const name = `${scenario.name} ${fn} ${count} ${limit}`;
  const known = parsed.get(name);
  if (known !== undefined) return known;
  const rule = { function: fn, by: ["host"], count, window: durationOf(scenario.windowMs) };
  const set = policySetFrom([
    {
      name: "act",
      match: [],
      action: { handler: { name: "act", timeout: "60s" } },
      ...(fn === null ? {} : { converge: rule }),
      retry: { limit, delay: durationOf(scenario.retryDelayMs), backoff: 2 },
      approval: { timeout: durationOf(scenario.approvalMs) },
      ...scenario.policy,
    } as never,
  ]);
  parsed.set(name, set);
  return set;
}

function durationOf(ms: number): string {
  return `${ms}ms`;
}
