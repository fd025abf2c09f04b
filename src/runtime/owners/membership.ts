/**
 * Which processes share the namespace, and which of its partitions each of them owns.
 *
 * Whoever is started says every 2 s that it lives, and hears who else does. All come to the same owners from that, each
 * by itself (model/rendezvous.ts). Safety is the compare-and-set of the commits and nothing else: two who take
 * themselves for the owner of one partition lose time, and no more.
 *
 * M1 a partition is left to another process only when that one has shown that it knows of others: what is left behind
 * by a process that was alone and died belongs to nobody. M2 who has not been heard of for a lease owns nothing any
 * more, and the lease is looked at when it runs out. M3 who could not say for a lease that it lives decides everything
 * itself, as it would alone. M4 a worker owns nothing, and follows who does, to send the results of its attempts; one
 * engine that decides alone takes letters as soon as it knows of a worker.
 */
import { ownersOf } from "../../model/rendezvous.ts";
import type { LiveProcess, Processes } from "../../stores/processes.ts";
import { NAMESPACE_FORMAT } from "../../stores/store.ts";
import type { Logger } from "../../system/logger.ts";
import type { Runtime } from "../runtime.ts";
import { LETTER_FORM, type Letter } from "./letters.ts";

export const BEAT_EVERY_MS = 2_000;
export const MEMBER_LEASE_MS = 6_000;
/** After a lease has run out: the store's clock and this one do not tick together. */
const LOOK_AFTER_MS = 20;

/**
 * What a process says of itself. `isSharing`: it knows of others that decide, and takes letters. `isWorker`: it owns
 * nothing. `takesLetters`: it takes letters, though it may be the only one that decides.
 */
export type MemberRecord = {
  readonly form: number;
  /** By which it decides. A process with another one may treat alerts differently. */
  readonly format: number;
  /** The newest format that it understands; absent: the one that it decides by. */
  readonly knows?: number;
  /** It raises the namespace as soon as all who live understand that. */
  readonly raises?: boolean;
  /** It writes what it removes into bundles first. */
  readonly exports?: boolean;
  readonly isSharing: boolean;
  readonly isWorker?: boolean;
  readonly takesLetters?: boolean;
  /** For people: host and process. */
  readonly name: string;
  readonly sinceMs: number;
};

export type Member = { readonly id: string; readonly leftMs: number; readonly record: MemberRecord };

export type MembershipOptions = {
  readonly processes: Processes;
  /** For people. */
  readonly name: string;
  /** It sends the owners the results of its attempts, and owns nothing. */
  readonly isWorker: boolean;
  readonly raises?: boolean;
  readonly exports?: boolean;
  readonly logger: Logger;
  /** Nothing can be left to a process whose clock is off: it fires no timer. */
  readonly isOff: () => boolean;
  /** It knows of others, or of workers: from now on it takes letters, until it leaves. */
  readonly onTaking: () => void;
  /** Owners have changed. `gone`: members that own nothing any more. */
  readonly onChange: (gone: readonly string[]) => void;
  /** Resolves when nothing that was sent to others is unanswered, or nobody will answer soon. */
  readonly whenAnswered: () => Promise<void>;
};

export class Membership {
  readonly #runtime: Runtime;
  readonly #options: MembershipOptions;
  readonly #record: Omit<MemberRecord, "format" | "isSharing" | "takesLetters">;
  /** Members that partitions are left to, this one included; null: this one decides everything. */
  #members: readonly Member[] | null = null;
  /** By partition. */
  #owners: readonly string[] = [];
  #isSharing = false;
  #isTaking = false;
  #hasLeft = true;
  #heardAtMs = 0;
  #living: readonly LiveProcess[] = [];

  constructor(runtime: Runtime, options: MembershipOptions) {
    this.#runtime = runtime;
    this.#options = options;
    const { isWorker, raises = false, exports = false, name } = options;
    const role = { ...(isWorker && { isWorker }), ...(raises && { raises }), ...(exports && { exports }) };
    this.#record = { form: LETTER_FORM, knows: NAMESPACE_FORMAT, ...role, name, sinceMs: runtime.clock.now() };
  }

  /** Who owns a partition, if that is another process; null: this one decides what arrives for it. */
  otherOwner(partition: number): string | null {
    if (this.#members === null) return null;
    const owner = this.#owners[partition] as string;
    return owner === this.#runtime.owner ? null : owner;
  }

  get members(): readonly Member[] {
    return this.#members ?? [];
  }

  /** Whoever lives, this process included, as it last heard. */
  get living(): readonly LiveProcess[] {
    return this.#living;
  }

  get heardAtMs(): number {
    return this.#heardAtMs;
  }

  get ownedCount(): number {
    if (this.#members === null) return this.#runtime.partitions;
    return this.#owners.filter((owner) => owner === this.#runtime.owner).length;
  }

  /** Says that this process lives, and learns who else does. Answers when to do it again, in ms. */
  async beat(): Promise<number> {
    if (this.#options.isOff()) {
      await this.leave();
      return BEAT_EVERY_MS;
    }
    const isFirst = this.#hasLeft;
    this.#hasLeft = false;
    let living = await this.#say();
    if (this.#hasChanged(living)) living = await this.#say();
    this.#heardAtMs = this.#runtime.clock.now();
    this.#living = living;
    this.#learn(living);
    if (isFirst && this.#isSharing) await this.tellOthers();
    const leases = this.#othersOf(living).map(({ leftMs }) => leftMs + LOOK_AFTER_MS);
    return Math.min(BEAT_EVERY_MS, ...leases);
  }

  /** Has what this process says of itself changed? Only who knows of others, or of workers, takes letters. */
  #hasChanged(living: readonly LiveProcess[]): boolean {
    const { isWorker } = this.#options;
    const others = this.#othersOf(living);
    const isSharing = !isWorker && others.length > 0;
    const isTaking = isWorker
      ? others.some(({ record }) => record.takesLetters)
      : isSharing || this.#peersOf(living).some(({ record }) => record.isWorker);
    const hasChanged = isSharing !== this.#isSharing || isTaking !== this.#isTaking;
    this.#isSharing = isSharing;
    this.#isTaking = isTaking;
    if (hasChanged && isTaking) this.#options.onTaking();
    return hasChanged;
  }

  /** The store did not answer: after a lease of that, nobody knows what the others do (M3). */
  missed(): void {
    if (this.#runtime.clock.now() - this.#heardAtMs >= MEMBER_LEASE_MS) this.#put(null);
  }

  /** Owns nothing from now on, and says so. What it still decides is safe all the same. */
  async leave(): Promise<void> {
    if (this.#hasLeft) return;
    this.#hasLeft = true;
    const others = this.members.filter(({ id }) => id !== this.#runtime.owner);
    this.#put(null);
    this.#isSharing = false;
    this.#isTaking = false;
    await this.#options.whenAnswered();
    await this.#options.processes.leave(this.#runtime.owner);
    await this.#tell(others);
  }

  async #say(): Promise<LiveProcess[]> {
    const { owner: id, format } = this.#runtime;
    const now = { format: format.acting, isSharing: this.#isSharing, takesLetters: this.#isTaking };
    const record: MemberRecord = { ...this.#record, ...now };
    const { processes } = this.#options;
    const living = await processes.beat({ id, record: JSON.stringify(record), leaseMs: MEMBER_LEASE_MS });
    // It has left meanwhile, and must not seem to be back.
    if (this.#hasLeft) await processes.leave(id);
    return this.#hasLeft ? [] : living;
  }

  /** Others that decide. */
  #othersOf(living: readonly LiveProcess[]): Member[] {
    return this.#peersOf(living).filter(({ record }) => record.isWorker !== true);
  }

  #peersOf(living: readonly LiveProcess[]): Member[] {
    const { form } = this.#record;
    const { owner, format } = this.#runtime;
    return readMembers(living).filter(
      ({ id, record }) => id !== owner && record.form === form && record.format === format.acting,
    );
  }

  #learn(living: readonly LiveProcess[]): void {
    const others = this.#othersOf(living);
    const sharing = others.filter(({ record }) => record.isSharing);
    if (this.#options.isWorker) {
      const alone = others.length === 1 ? others.filter(({ record }) => record.takesLetters) : [];
      this.#put(sharing.length > 0 ? sharing : alone.length > 0 ? alone : null);
      return;
    }
    const self = readMembers(living).find(({ id }) => id === this.#runtime.owner);
    this.#put(sharing.length === 0 || self === undefined ? null : [self, ...sharing]);
  }

  #put(members: readonly Member[] | null): void {
    const before = this.members;
    this.#members = members;
    const gone = before.filter(({ id }) => !this.members.some((member) => member.id === id));
    const come = this.members.filter(({ id }) => !before.some((member) => member.id === id));
    if (gone.length + come.length === 0) return;
    const { partitions } = this.#runtime;
    this.#owners =
      members === null
        ? []
        : ownersOf(
            members.map(({ id }) => id),
            partitions,
          );
    this.#announce({ gone, come });
    this.#options.onChange(gone.map(({ id }) => id));
  }

  #announce({ gone, come }: { gone: readonly Member[]; come: readonly Member[] }): void {
    if (this.#hasLeft || this.#options.isWorker) return;
    const { partitions, owner } = this.#runtime;
    const names = (members: readonly Member[]) =>
      members.flatMap(({ id, record }) => (id === owner ? [] : record.name)).join(", ");
    const changes = [
      ...(names(come) === "" ? [] : [`${names(come)} came`]),
      ...(names(gone) === "" ? [] : [`${names(gone)} went`]),
    ];
    const what = `This process owns ${this.ownedCount} of ${partitions} partitions: ${changes.join(", ")}`;
    this.#options.logger.info({ members: Math.max(this.members.length, 1), partitions: this.ownedCount }, what);
  }

  /** Has the other members beat now: they need not wait for their next beat to hear of something. */
  tellOthers(): Promise<void> {
    return this.#tell(this.members.filter(({ id }) => id !== this.#runtime.owner));
  }

  /** So that they need not wait for their next beat. Who cannot be told hears of it then. */
  async #tell(others: readonly Member[]): Promise<void> {
    const letter = JSON.stringify({ kind: "look" } satisfies Letter);
    await Promise.allSettled(others.map(({ id }) => this.#options.processes.send(id, [letter])));
  }
}

/** Those that can be understood. */
export function readMembers(living: readonly LiveProcess[]): Member[] {
  return living.flatMap(({ id, record, leftMs }) => {
    try {
      return [{ id, leftMs, record: JSON.parse(record) as MemberRecord }];
    } catch {
      return [];
    }
  });
}
