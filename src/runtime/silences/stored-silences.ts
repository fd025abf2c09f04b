/**
 * Silences that people make while everything runs. They live beside the others of the policy file, in one record of
 * partition 0: there are few, and whoever looks at one looks at all.
 *
 * What a silence skipped is found among the timers. When a silence ends early, or is gone from the policy file, those
 * are looked at again at once: a job that is begun anew whenever the silences in force change, and when a process
 * starts, so that no crash leaves it half done.
 */
import { randomUUID } from "node:crypto";
import { splitLine } from "../../instance/history-lines.ts";
import { canonicalJson } from "../../model/canonical-json.ts";
import { sha256 } from "../../model/digest.ts";
import { BecalmError } from "../../model/errors.ts";
import { HELD_DUE_AT_MS } from "../../model/instance-types.ts";
import { SILENCE_COUNT_MAX } from "../../model/limits.ts";
import { compileMatchers, matchesEmptyText, parseMatchers } from "../../policy/matcher.ts";
import type { Silence } from "../../policy/policy.ts";
import type { TimerRow } from "../../stores/store.ts";
import { untilWritten } from "../commit/back-off.ts";
import type { CompiledSilence, Driver, Runtime } from "../runtime.ts";
import { requireArgument, TEXT } from "../validate-options.ts";
import { alertOf, envelopeOf } from "../workers/timers.ts";
import { validateStoredSilence } from "./validate-silence.ts";

/** Beside the records of episodes; no alert's key begins so. */
const SILENCES_KEY = "!silences";
const PAGE_COUNT = 256;
/** A silence that has ended is shown for so long. */
const SHOWN_AFTER_END_MS = 5 * 24 * 3_600_000;

export type StoredSilence = Silence & {
  readonly id: string;
  /** When it was made or last changed; left out of those of the policy file. */
  readonly updatedAtMs?: number;
};

/** `match`: matchers as in a policy file. `fromMs`: default now. */
export type SilenceRequest = {
  readonly match: string | readonly string[];
  readonly fromMs?: number;
  readonly toMs: number;
  readonly by: string;
  readonly why: string;
};

/** The id of a silence of the policy file: it says the same as long as the silence does. */
export function silenceIdOf(silence: Silence): string {
  return sha256(canonicalJson({ ...silence, id: undefined }), "hex").slice(0, 16);
}

export function compileSilence(silence: StoredSilence): CompiledSilence {
  return { silence, matches: compileMatchers(silence.match) };
}

/**
 * Reads the stored silences; from now on they are in force beside those of the policy file. True: they are others than
 * before.
 */
export async function learnSilences(runtime: Pick<Runtime, "store" | "inForce">): Promise<boolean> {
  const text = await recordOf(runtime);
  if (text === runtime.inForce.storedText) return false;
  const stored = decode(text).map(compileSilence);
  const { fromFile } = runtime.inForce;
  Object.assign(runtime.inForce, { storedText: text, stored, silences: [...fromFile, ...stored] });
  return true;
}

async function recordOf({ store }: Pick<Runtime, "store">): Promise<string | null> {
  const request = { partition: 0, groupId: null, instanceIds: [], episodeKeys: [SILENCES_KEY] };
  return (await store.load(request)).episodes.get(SILENCES_KEY) ?? null;
}

function decode(text: string | null): StoredSilence[] {
  return text === null ? [] : (JSON.parse(text) as StoredSilence[]);
}

export class SilenceService {
  readonly #runtime: Runtime;
  readonly #driver: Pick<Driver, "submit">;
  readonly #now: () => number;

  constructor(runtime: Runtime, driver: Pick<Driver, "submit">, now: () => number) {
    this.#runtime = runtime;
    this.#driver = driver;
    this.#now = now;
  }

  /** All that are stored, and those of the policy file. */
  async silences(): Promise<readonly StoredSilence[]> {
    await learnSilences(this.#runtime);
    return this.#runtime.inForce.silences.map(({ silence }) => silence as StoredSilence);
  }

  /** Makes a silence; it is looked at whenever an instance is decided from now on. */
  async add(request: SilenceRequest): Promise<StoredSilence> {
    const silence = { id: randomUUID(), ...this.#read(request), updatedAtMs: this.#now() };
    await this.save(silence);
    return silence;
  }

  /** Writes a silence as it is, in place of one of the same id. */
  async save(silence: StoredSilence): Promise<void> {
    // What cannot be read would be read by every process of the namespace.
    validateStoredSilence(silence);
    compileSilence(silence);
    await this.#change((silences) => [...silences.filter(({ id }) => id !== silence.id), silence]);
    await this.lookAgain();
  }

  /**
   * Ends a silence now. What it skipped is decided, if its alert still fires and its policy does not say otherwise.
   * Gives how many were looked at.
   */
  async expire(id: string): Promise<number> {
    requireArgument("engine.expireSilence", TEXT, id);
    const nowMs = this.#now();
    await this.#change((silences) => {
      const silence = silences.find((one) => one.id === id);
      if (silence === undefined || silence.toMs <= nowMs) throw this.#notFound(id);
      return silences.map((one) => (one === silence ? endedAt(one, nowMs) : one));
    });
    return this.lookAgain();
  }

  /** Looks again at what silences hold that are in force no longer. */
  async lookAgain(): Promise<number> {
    const nowMs = this.#now();
    const seen = new Set<string>();
    let looked = 0;
    for (;;) {
      const limit = PAGE_COUNT + seen.size;
      const request = { lane: "approval", fromMs: nowMs + 1, untilMs: HELD_DUE_AT_MS - 1, limit } as const;
      const rows = await this.#runtime.store.timers(request);
      const fresh = rows.filter((row) => !seen.has(keyOf(row)));
      if (fresh.length === 0) return looked;
      for (const row of fresh) seen.add(keyOf(row));
      const ended = await Promise.all(fresh.map((row) => this.#hasEnded(row, nowMs)));
      const due = await Promise.all(
        fresh.filter((_, index) => ended[index]).map((row) => envelopeOf(this.#runtime, row, { atMs: nowMs })),
      );
      const results = await this.#driver.submit(due.flatMap((envelope) => envelope ?? []));
      looked += results.length;
    }
  }

  /** Is the silence that skipped it in force no longer? Another one that matches takes over only then. */
  async #hasEnded({ name, owner, dueAtMs }: TimerRow, nowMs: number): Promise<boolean> {
    if (name !== "silence") return false;
    if (!this.#runtime.inForce.isFileKnown && !(await this.#isHeldByStored(owner))) return false;
    const alert = await alertOf(this.#runtime, owner);
    if (alert === null) return true;
    const { silences } = this.#runtime.inForce;
    return !silences.some(({ silence: { fromMs, toMs }, matches }) => {
      return toMs === dueAtMs && fromMs <= nowMs && nowMs < toMs && matches(alert.labels);
    });
  }

  /**
   * Whether a stored silence skipped it. What one of the policy file holds is left to the engines that have read that
   * file.
   */
  async #isHeldByStored(owner: string): Promise<boolean> {
    const { store, inForce } = this.#runtime;
    const id = silenceIdIn((await store.history(owner)) ?? []);
    return inForce.stored.some(({ silence }) => silence.id === id);
  }

  async #change(change: (silences: readonly StoredSilence[]) => readonly StoredSilence[]): Promise<void> {
    const { store, format } = this.#runtime;
    requireRaised(format.acting, "A silence that ends what it held");
    await untilWritten(this.#runtime, "the silences", async () => {
      const expected = await recordOf(this.#runtime);
      const kept = decode(expected).filter(({ toMs }) => toMs > this.#now() - SHOWN_AFTER_END_MS);
      const changed = change(kept);
      if (changed.length > SILENCE_COUNT_MAX)
        throw new BecalmError("BECALM_ARGUMENT_INVALID", `At most ${SILENCE_COUNT_MAX} silences. Expire some first.`);
      const writes = [{ key: SILENCES_KEY, expected, value: JSON.stringify(changed) }];
      return (await store.renewEpisodes({ partition: 0, writes })) === "applied";
    });
    await learnSilences(this.#runtime);
  }

  #read({ match, fromMs = this.#now(), toMs, by, why }: SilenceRequest): Silence {
    const matchers = [match].flat().flatMap((text) => parseMatchers(text));
    if (matchers.every(matchesEmptyText))
      throw invalid(
        `A silence needs a matcher that does not match the empty text (alertname=~".+" silences everything).`,
      );
    if (!(toMs > fromMs) || toMs <= this.#now()) throw invalid("A silence ends after it begins, and after now.");
    return { match: matchers, fromMs, toMs, author: by, comment: why };
  }

  #notFound(id: string): BecalmError {
    const isOfFile = this.#runtime.inForce.fromFile.some(({ silence }) => silence.id === id);
    const what = isOfFile
      ? `Silence ${id} is in the policy file. Take it out there and reload.`
      : `No silence ${id} is in force. \`becalm silence ls\` lists those that are.`;
    return new BecalmError("BECALM_NOT_FOUND", what, { details: { id } });
  }
}

/**
 * What an engine of the version before would not understand is made only in a namespace of the present format.
 * @throws BECALM_NAMESPACE_FORMAT
 */
export function requireRaised(format: number, what: string): void {
  if (format >= 2) return;
  throw new BecalmError(
    "BECALM_NAMESPACE_FORMAT",
    `${what} is not understood by engines of an earlier version, and this namespace may still have some. When none is left: \`becalm doctor --raise-format\`.`,
    { details: { format } },
  );
}

/** The silence that skipped it last. */
function silenceIdIn(lines: readonly string[]): string | undefined {
  const last = lines.findLast((line) => splitLine(line).json.includes('"silence":'));
  if (last === undefined) return undefined;
  const { event } = JSON.parse(splitLine(last).json) as { event?: { silence?: { id?: string } } };
  return event?.silence?.id;
}

/** One that has not begun ends as it begins. */
function endedAt(silence: StoredSilence, nowMs: number): StoredSilence {
  const fromMs = Math.min(silence.fromMs, nowMs - 1);
  return { ...silence, fromMs, toMs: nowMs, updatedAtMs: nowMs };
}

function keyOf({ owner, name, arm }: TimerRow): string {
  return `${owner} ${name} ${arm}`;
}

function invalid(message: string): BecalmError {
  return new BecalmError("BECALM_ARGUMENT_INVALID", message);
}
