/**
 * The emergency stop: pause and resume.
 *
 * Partition 0 has the newest record, and every other partition follows it; whoever finds one that is behind brings it
 * up to date, so that a crash in between leaves nothing half paused. What a lifted pause leaves to be done stays in the
 * record until it is done to the end.
 */
import type { Instance } from "../../instance/checkpoint.ts";
import type { Command } from "../../instance/decide.ts";
import { PAUSE_REQUEST_PARTITION, pauseRequestIdOf } from "../../instance/notices.ts";
import {
  encodeStops,
  pauseOf,
  type Resumption,
  STOPS_KEY,
  type StopsRecord,
  withoutPause,
  withoutResumption,
  withPause,
} from "../../instance/stops-record.ts";
import { endEvent } from "../../model/episode.ts";
import { BecalmError } from "../../model/errors.ts";
import { HELD_DUE_AT_MS, type PauseNote } from "../../model/instance-types.ts";
import type { TimerRow } from "../../stores/store.ts";
import { untilWritten } from "../commit/back-off.ts";
import { type Envelope, NOTHING } from "../commit/batch.ts";
import { learnVersions, tryInstance } from "../commit/read-instance.ts";
import { episodeEndOf } from "../instance-episode.ts";
import type { Driver, Runtime } from "../runtime.ts";
import { requireRaised } from "../silences/stored-silences.ts";
import { silenceOf } from "../workers/timers.ts";
import { releaseBrake } from "./brakes.ts";
import { readStops } from "./partition-stops.ts";

/** Rows of held instances that are worked on at once. */
const PAGE_COUNT = 256;

export type PauseRequest = { readonly by: string; readonly why: string; readonly policy?: string };

/**
 * `held`: what becomes of those that were held; `keep`, the default: they stay so, each for a grant, a denial or a
 * later resume.
 */
export type ResumeRequest = PauseRequest & { readonly held?: "keep" | Resumption["how"] };

/** `lifted` null: no such pause held. `decided`: how many held instances were decided again or denied. */
export type Resumed = { readonly lifted: PauseNote | null; readonly decided: number };

export class PauseService {
  readonly #runtime: Runtime;
  readonly #driver: Pick<Driver, "submit">;
  readonly #now: () => number;
  /** Pauses about which a person has been asked. */
  readonly #asked = new Set<string>();

  constructor(runtime: Runtime, driver: Pick<Driver, "submit">, now: () => number) {
    this.#runtime = runtime;
    this.#driver = driver;
    this.#now = now;
  }

  /** The pauses that hold. */
  async pauses(): Promise<readonly PauseNote[]> {
    return (await readStops(this.#runtime.store, this.#runtime.stops, 0)).pauses;
  }

  /**
   * Stops a policy, or everything, at once and in every process. Resolves when no commit can begin anything any longer.
   * @throws BECALM_EVENT_REFUSED when it is paused already; BECALM_NOT_FOUND when the namespace has no such policy: a
   * stop with a slip in its name would stop nothing
   */
  async pause({ by, why, policy }: PauseRequest): Promise<PauseNote> {
    requireRaised(this.#runtime.format.acting, "A pause");
    if (policy !== undefined) await this.#requirePolicy(policy);
    const pause: PauseNote = { by, why, sinceMs: this.#now(), scope: policy ?? null };
    await this.#change((record) => {
      const holding = pauseOf(record, pause.scope);
      if (holding !== undefined) throw pausedAlready(holding);
      return withPause(record, pause);
    });
    return pause;
  }

  async #requirePolicy(name: string): Promise<void> {
    const names = () => new Set([...this.#runtime.versions.values()].map(({ policy }) => policy.name));
    if (!names().has(name)) await learnVersions(this.#runtime);
    if (!names().has(name)) throw unknownPolicy(name, [...names()]);
  }

  /** A brake's pause: one that holds already is as good. */
  async brake(pause: PauseNote): Promise<void> {
    await this.#change((record) => (pauseOf(record, pause.scope) === undefined ? withPause(record, pause) : null));
  }

  /** Lifts a pause. What was held by it stays held unless `held` says otherwise; that can be said later, too. */
  async resume({ by, why, policy, held = "keep" }: ResumeRequest): Promise<Resumed> {
    const scope = policy ?? null;
    const resumption = held === "keep" ? null : { scope, how: held, by, why };
    let lifted: PauseNote | null = null;
    await this.#change((record) => {
      lifted = pauseOf(record, scope) ?? null;
      return lifted === null && resumption === null ? null : withoutPause(record, scope, resumption);
    });
    if (lifted === null && resumption === null) throw notPaused(scope);
    await releaseBrake(this.#runtime, scope);
    return { lifted, decided: await this.goOn() };
  }

  /**
   * Brings every partition up to date and does what lifted pauses have left to be done. Gives how many instances were
   * decided.
   */
  async goOn(): Promise<number> {
    const record = await readStops(this.#runtime.store, this.#runtime.stops, 0);
    if (this.#isBehind(record)) await this.#follow(record);
    await this.#askAbout(record.pauses, () => this.#now());
    let decided = 0;
    for (const resumption of record.resumptions) {
      decided += await this.#resumeHeld(resumption, record.pauses);
      await this.#change((current) => withoutResumption(current, resumption));
    }
    return decided;
  }

  /**
   * In virtual time: asks about the pauses that hold somebody, dated when they began to, so that a second run asks the
   * same.
   */
  async askWhenHeld(): Promise<void> {
    const { pauses } = await readStops(this.#runtime.store, this.#runtime.stops, 0);
    await this.#askAbout(pauses, ({ atMs }) => atMs);
  }

  async #askAbout(pauses: readonly PauseNote[], dateOf: (held: Instance) => number): Promise<void> {
    for (const pause of pauses) if (!this.#asked.has(nameOf(pause))) await this.#ask(pause, dateOf);
  }

  /**
   * Asks a person about all that a pause holds, once it holds somebody. Whoever asks, in whichever process, makes the
   * same request.
   */
  async #ask(pause: PauseNote, dateOf: (held: Instance) => number): Promise<void> {
    const rows = await this.#heldRows(PAGE_COUNT, HELD_DUE_AT_MS + pause.sinceMs);
    for (const row of rows) {
      const held = await this.#heldIn(row, pause.scope);
      if (held === null) continue;
      const id = pauseRequestIdOf(pause);
      const command: Command = { type: "askForPause", id, atMs: dateOf(held), pause, held };
      const address = { partition: PAUSE_REQUEST_PARTITION, groupId: null };
      await this.#driver.submit([{ address, command, consumes: NOTHING, lastSeen: null }]);
      this.#asked.add(nameOf(pause));
      return;
    }
  }

  /** Changes the record in partition 0, then in all others. `change` answers null: it stays as it is. */
  async #change(change: (record: StopsRecord) => StopsRecord | null): Promise<void> {
    let changed: StopsRecord | null = null;
    await untilWritten(this.#runtime, "the pauses", async () => {
      changed = change(await readStops(this.#runtime.store, this.#runtime.stops, 0));
      return changed === null || (await this.#write(0, changed));
    });
    if (changed !== null) await this.#follow(changed);
  }

  #isBehind({ version }: StopsRecord): boolean {
    const { stops, partitions } = this.#runtime;
    for (let partition = 1; partition < partitions; partition += 1)
      if (stops.of(partition).version < version) return true;
    return false;
  }

  async #follow(record: StopsRecord): Promise<void> {
    const others = Array.from({ length: this.#runtime.partitions - 1 }, (_, index) => index + 1);
    await Promise.all(others.map((partition) => this.#bringUpToDate(partition, record)));
  }

  async #bringUpToDate(partition: number, record: StopsRecord): Promise<void> {
    await untilWritten(this.#runtime, `the pauses of partition ${partition}`, async () => {
      const { version } = await readStops(this.#runtime.store, this.#runtime.stops, partition);
      return version >= record.version || (await this.#write(partition, record));
    });
  }

  async #write(partition: number, record: StopsRecord): Promise<boolean> {
    const { store, stops } = this.#runtime;
    const { expected } = stops.condition(partition);
    const value = encodeStops(record);
    const outcome = await store.renewEpisodes({ partition, writes: [{ key: STOPS_KEY, expected, value }] });
    if (outcome === "conflict") return false;
    stops.learn(partition, value);
    return true;
  }

  /**
   * All that pauses of the scope have held, in the order in which they held it. What a pause that is still in force
   * holds as well is left to that one.
   */
  async #resumeHeld(resumption: Resumption, inForce: readonly PauseNote[]): Promise<number> {
    const seen = new Set<string>();
    let decided = 0;
    for (;;) {
      const rows = await this.#heldRows(PAGE_COUNT + seen.size);
      const fresh = rows.filter(({ owner }) => !seen.has(owner)).slice(0, PAGE_COUNT);
      if (fresh.length === 0) return decided;
      for (const { owner } of fresh) seen.add(owner);
      const envelopes = await Promise.all(fresh.map((row) => this.#envelopeOf(row, resumption, inForce)));
      const results = await this.#driver.submit(envelopes.flatMap((envelope) => envelope ?? []));
      decided += results.filter(({ outcome }) => outcome === "applied").length;
    }
  }

  #heldRows(limit: number, fromMs = HELD_DUE_AT_MS): Promise<TimerRow[]> {
    return this.#runtime.store.timers({ lane: "approval", fromMs, untilMs: Infinity, limit });
  }

  /** null: it cannot be read, or it is not of the scope. */
  async #heldIn({ owner: id, partition }: TimerRow, scope: string | null): Promise<Instance | null> {
    const { instances } = await this.#runtime.store.load({ partition, groupId: null, instanceIds: [id] });
    const stored = instances.get(id);
    const instance = stored === undefined ? null : await tryInstance(this.#runtime, stored);
    if (instance === null || instance instanceof BecalmError) return null;
    return covers({ scope }, instance.policy) ? instance : null;
  }

  async #envelopeOf(
    row: TimerRow,
    { scope, how, by, why }: Resumption,
    inForce: readonly PauseNote[],
  ): Promise<Envelope | null> {
    const instance = await this.#heldIn(row, scope);
    if (instance === null || inForce.some((pause) => covers(pause, instance.policy))) return null;
    const { id } = instance;
    const { partition } = row;
    const atMs = this.#now();
    const command: Command =
      how === "deny"
        ? { type: "event", id, event: { type: "approval.denied", atMs, by, why } }
        : await this.#reconsidered(instance, atMs);
    return { address: { partition, groupId: instance.groupId }, command, consumes: NOTHING, lastSeen: null };
  }

  /** A retry may have been held after its alert had resolved: nothing need run any more. */
  async #reconsidered(instance: Instance, atMs: number): Promise<Command> {
    const { id } = instance;
    const end = await episodeEndOf(this.#runtime, instance, atMs);
    const { keepOnResolved } = instance.snapshot.context.policy;
    if (end !== null && !keepOnResolved) return { type: "event", id, event: endEvent(end, atMs) };
    const silence = await silenceOf(this.#runtime, id, atMs);
    return { type: "reconsider", id, atMs, cause: "resumed", isOpen: end === null, silence };
  }
}

function covers({ scope }: Pick<PauseNote, "scope">, policy: string): boolean {
  return scope === null || scope === policy;
}

function pausedAlready({ by, why, sinceMs, scope }: PauseNote): BecalmError {
  const what = scope === null ? "Everything" : `Policy "${scope}"`;
  return new BecalmError(
    "BECALM_EVENT_REFUSED",
    `${what} is paused already: by ${by} since ${new Date(sinceMs).toISOString()} (${why}). \`becalm resume\` lifts it.`,
    { details: { by, why, sinceMs, scope } },
  );
}

const NAMED_COUNT_MAX = 20;

function unknownPolicy(policy: string, known: readonly string[]): BecalmError {
  const shown = known.slice(0, NAMED_COUNT_MAX).join(", ");
  const text = `The namespace has no policy "${policy}", so nothing was paused. It has: ${shown}${known.length > NAMED_COUNT_MAX ? ", ..." : ""}. A pause without a policy stops everything.`;
  return new BecalmError("BECALM_NOT_FOUND", text, { details: { policy } });
}

function notPaused(scope: string | null): BecalmError {
  const what = scope === null ? "The namespace" : `Policy "${scope}"`;
  return new BecalmError("BECALM_NOT_FOUND", `${what} is not paused. \`becalm pause --list\` shows what is.`, {
    details: { scope },
  });
}

function nameOf({ scope, sinceMs }: PauseNote): string {
  return `${scope ?? ""} ${sinceMs}`;
}
