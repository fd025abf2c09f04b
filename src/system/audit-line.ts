/**
 * One log line per audit entry: what is searched for (instance, alert's labels, policy, reason, actor), the sentence,
 * and the hash that the entry has in the store's own trail, so that the two can be compared (`becalm audit verify
 * --against LOG`).
 *
 * An alert's labels are in the first line of its instance's history only. They are remembered for the instances that
 * will move again, and read again for the others; meanwhile the lines that follow wait, so that the order stays.
 */
import { type Birth, ENGINE_ACTOR } from "../instance/audit-types.ts";
import type { LoggedEntry } from "../instance/draft.ts";
import { isAtRest } from "../instance/open-index.ts";
import type { Observation } from "../model/convergence-rule.ts";
import { policyKey } from "../policy/policy-versions.ts";
import { sentenceAbout } from "../present/sentences.ts";
import { isoTime } from "../present/time-text.ts";
import { type Logger, linesOf, silentLogger } from "./logger.ts";

/** An audit entry as a log line: the fields under which it can be searched. The audit itself holds all of it. */
export type AuditFields = {
  readonly instance: string;
  readonly version: number;
  /** RFC 3339: when the event happened, in the engine's time. */
  readonly at: string;
  readonly event: string;
  /** States that the step passed, as `Processing > Success > Skipped`. */
  readonly path: string;
  readonly verdict: string | null;
  readonly reason: string;
  readonly actor: string;
  /** `name@version`. */
  readonly policy: string;
  /** Of the alert; null: a notice, or a history that could not be read. */
  readonly labels: Readonly<Record<string, string>> | null;
  /** Why, in English. */
  readonly sentence: string;
  /** Of the entry in its trail. */
  readonly hash: string;
};

/** Kinds of lines that are remembered: events, paths, reasons and actors that come together. */
const KIND_COUNT_MAX = 256;
/** Instances whose labels are remembered. */
const BIRTH_COUNT_MAX = 4_096;

type OwnFields = Pick<AuditFields, "instance" | "version" | "at" | "labels" | "sentence" | "hash">;
type CommonFields = Omit<AuditFields, keyof OwnFields>;

/** A sentence and its JSON, which lines of a storm share. */
type SaidOnce = { readonly sentence: string; readonly sentenceJson: string };

/** Writes a line of one kind. */
type WriteLine = (own: OwnFields, sentenceJson: string) => void;

/** `last`: what the last line of the kind said whose sentence tells what was seen, and nothing else of its own. */
type Kind = { readonly writeLine: WriteLine; last: (SaidOnce & { readonly saw: Observation | null }) | null };

/** What a line says of the instance's first line. */
type Subject = Pick<Birth, "alert" | "notice">;

/** Reads the first line of an instance's history; null: it is gone. */
export type ReadBirth = (instance: string) => Promise<Subject | null>;

/**
 * Writes one line per audit entry; its message is `<event> -> <state>`. Entries of a kind have many fields in common:
 * those are given to the logger once, for a line of pino's costs half a microsecond a field.
 */
export class AuditLog {
  readonly #logger: Logger;
  readonly #readBirth: ReadBirth;
  readonly #kinds = new Map<string, Kind>();
  readonly #births = new Map<string, Subject>();
  #waiting: Promise<void> | null = null;

  constructor(logger: Logger, readBirth: ReadBirth = () => Promise.resolve(null)) {
    this.#logger = logger;
    this.#readBirth = readBirth;
  }

  write(logged: readonly LoggedEntry[]): void {
    if (this.#logger === silentLogger) return;
    for (const one of logged) this.#expectMore(one);
    const unknown = logged.filter(({ instance, birth }) => birth === null && !this.#births.has(instance));
    if (this.#waiting === null && unknown.length === 0) this.#writeLines(logged);
    else this.#writeLater(logged, unknown);
  }

  /** Lines follow of what is not at rest. */
  #expectMore({ instance, birth, after }: LoggedEntry): void {
    if (birth !== null && !isAtRest(after)) this.#remember(instance, birth);
  }

  /** Resolves when every line has been given to the logger. Never rejects. */
  async settled(): Promise<void> {
    while (this.#waiting !== null) await this.#waiting;
  }

  #writeLater(logged: readonly LoggedEntry[], unknown: readonly LoggedEntry[]): void {
    const before = this.#waiting ?? Promise.resolve();
    const ids = [...new Set(unknown.map(({ instance }) => instance))];
    const read = Promise.all(ids.map(async (id) => [id, await this.#readBirth(id).catch(() => null)] as const));
    const waiting = before.then(async () => {
      for (const [id, birth] of await read) if (birth !== null) this.#remember(id, birth);
      this.#writeLines(logged);
      if (this.#waiting === waiting) this.#waiting = null;
    });
    this.#waiting = waiting;
  }

  #remember(instance: string, { alert, notice }: Subject): void {
    if (this.#births.size >= BIRTH_COUNT_MAX) {
      const [oldest] = this.#births.keys();
      if (oldest !== undefined) this.#births.delete(oldest);
    }
    this.#births.set(instance, { alert, notice });
  }

  #writeLines(logged: readonly LoggedEntry[]): void {
    let before: LoggedEntry | null = null;
    let kind: Kind | null = null;
    let said: SaidOnce | null = null;
    for (const one of logged) {
      const { instance, entry, after } = one;
      const subject = one.birth ?? this.#births.get(instance) ?? null;
      // In a storm neighbours share one entry (instance/outcome-memo.ts).
      if (kind === null || entry !== before?.entry || after.policyVersion !== before.after.policyVersion) {
        kind = this.#kindOf(one);
        said = null;
      }
      if (said === null || namesItsInstance(entry, subject)) said = sentenceOf(kind, one, subject);
      before = one;
      const labels = subject?.alert?.labels ?? null;
      const { version, atMs } = entry;
      const { sentence, sentenceJson } = said;
      kind.writeLine({ instance, version, at: timeText(atMs), labels, sentence, hash: after.head }, sentenceJson);
      if (one.birth === null && isAtRest(after)) this.#births.delete(instance);
    }
  }

  #kindOf({ entry, after }: LoggedEntry): Kind {
    const policy = policyKey({ name: after.policy, version: after.policyVersion });
    const path = entry.path.join(" > ");
    const actor = actorOf(entry);
    // Who acts stands last: a person's name may hold anything.
    const name = `${entry.event.type}\n${path}\n${entry.verdict}\n${entry.reason}\n${policy}\n${actor}`;
    const known = this.#kinds.get(name);
    if (known !== undefined) return known;
    const { verdict, reason, event } = entry;
    const common = { event: event.type, path, verdict, reason, actor, policy };
    const kind = { writeLine: this.#lineOf(common, `${event.type} -> ${entry.path.at(-1) ?? "?"}`), last: null };
    if (this.#kinds.size >= KIND_COUNT_MAX) this.#kinds.clear();
    this.#kinds.set(name, kind);
    return kind;
  }

  #lineOf(common: CommonFields, message: string): WriteLine {
    const write = linesOf(this.#logger)?.(common, message);
    if (write !== undefined) return (own, sentenceJson) => write(ownJson(own, sentenceJson));
    const child = this.#logger.child?.(common);
    if (child !== undefined) return (own) => child.info(own, message);
    return (own) => this.#logger.info({ ...common, ...own }, message);
  }
}

/** In the order of `OwnFields`. A time needs no escapes, and neither does a hash. */
function ownJson({ instance, version, at, labels, hash }: OwnFields, sentenceJson: string): string {
  const texts = labels === null ? "null" : JSON.stringify(labels);
  return `"instance":${JSON.stringify(instance)},"version":${version},"at":"${at}","labels":${texts},"sentence":${sentenceJson},"hash":"${hash}"`;
}

/** Does an entry that neighbours share say something else of each? */
function namesItsInstance({ event }: LoggedEntry["entry"], subject: Subject | null): boolean {
  return (subject?.notice ?? null) !== null || ("silence" in event && event.silence !== null);
}

/** Most decisions differ from those before them in what they saw, if in anything that is said. */
function sentenceOf(kind: Kind, one: LoggedEntry, birth: Subject | null): SaidOnce {
  if (!saysWhatItSaw(one, birth)) return sentenceAnew(one, birth);
  const saw = observationOf(one.entry);
  if (kind.last === null || !isSameSight(kind.last.saw, saw)) kind.last = { ...sentenceAnew(one, birth), saw };
  return kind.last;
}

/** Does the sentence follow from the kind and what was seen? Not if a person, a silence, a pause or a notice is in it. */
function saysWhatItSaw({ entry: { event } }: LoggedEntry, birth: Subject | null): boolean {
  if (event.type !== "start" || event.approved === true) return false;
  return event.silence === null && event.paused === undefined && (birth?.notice ?? null) === null;
}

function isSameSight(a: Observation | null, b: Observation | null): boolean {
  if (a === null || b === null) return a === b;
  return (
    a.isNew === b.isNew &&
    a.executed === b.executed &&
    a.succeeded === b.succeeded &&
    a.failed === b.failed &&
    a.inProgress === b.inProgress &&
    a.settledWithoutFailure === b.settledWithoutFailure &&
    a.parentOpen === b.parentOpen
  );
}

function sentenceAnew({ instance, entry, after }: LoggedEntry, birth: Subject | null): SaidOnce {
  const { policy, snapshot } = after;
  const decidedAgain = snapshot.context.reconsidered;
  const subject = { instance, policy, notice: birth?.notice ?? null, decidedAgain, time: isoTime };
  const sentence = sentenceAbout({ ...entry, observation: observationOf(entry) }, subject).en;
  return { sentence, sentenceJson: JSON.stringify(sentence) };
}

function observationOf({ event }: LoggedEntry["entry"]): Observation | null {
  return "group" in event ? (event.group?.observation ?? null) : null;
}

function actorOf({ event }: LoggedEntry["entry"]): string {
  return "by" in event && event.by !== undefined ? event.by : ENGINE_ACTOR;
}

let lastTime = { atMs: 0, text: new Date(0).toISOString() };

/** The entries of one commit mostly have the same time. */
function timeText(atMs: number): string {
  if (lastTime.atMs !== atMs) lastTime = { atMs, text: new Date(atMs).toISOString() };
  return lastTime.text;
}
