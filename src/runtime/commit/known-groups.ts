import type { Group } from "../../convergence/group.ts";
import { decodeGroup } from "../../convergence/group-codec.ts";

/** As many groups as alerts may be under way, each a group of its own. */
const GROUP_COUNT_MAX = 10_000;
/** Length of all their texts, in UTF-16 units: a group that forms with a high count has a long one. */
const UNITS_MAX = 16 * 1_024 * 1_024;
/** So many turns of a mailbox read, after one that met an instance which was there already: its alerts are being sent again. */
const READS_AFTER_DUPLICATE = 64;
/** And after one that lost: another process writes the same group. */
const READS_AFTER_LOSS = 8;
/** So many groups of which nothing is known have to be new, one after the other, until the next such ones are taken for new. */
const NEW_BEFORE_GUESS = 64;

/** A group as this process read or wrote it last. `version` 0: it was not stored. */
export type KnownGroup = {
  readonly version: number;
  /** As text. */
  readonly value: string;
  /** Never changed: a decision works on a copy. */
  readonly group: Group;
  /**
   * The last commit of this process that wrote it or found it so, applied or under way: whoever guesses follows that one. null: it was only read.
   */
  readonly seenBy: string | null;
};

/**
 * What this process knows of groups. A turn may start from that instead of reading: whether it still holds is found out by the commit's
 * compare-and-set, and a turn that loses is made again from what is stored. So nothing here is ever taken for what the store has.
 *
 * K1 an entry only goes forward: to what a turn has just decided, or away, when that turn did not come out.
 * K2 guesses that are wrong cost a turn each, so a mailbox that has made one reads for some turns: its alerts are sent again, or others write
 * its group.
 * K3 a version does not tell who wrote it: a group may have expired, or a server may have lost its last writes, and another process may have
 * written as many versions since. So a guess follows this process's last commit on the group, and none is made where there is no such commit.
 * K4 that a group is new needs no such commit: the store finds out whether there is one, and of nothing there is one version. It is guessed while
 * the groups of which nothing was known have been new; one that was there, and many are read.
 */
export class KnownGroups {
  private readonly known = new Map<string, KnownGroup>();
  private units = 0;
  private readonly loneCommits = new Map<string, string>();
  private readonly readsLeft = new Map<string, number>();
  private newUntilGuess = NEW_BEFORE_GUESS;

  /** What a turn may start from without reading; null: nothing (K3). */
  get(id: string): KnownGroup | null {
    const known = this.known.get(id);
    return known === undefined || known.seenBy === null ? null : known;
  }

  /** Is nothing known of it, not even what was read? */
  isUnknown(id: string): boolean {
    return !this.known.has(id);
  }

  /** May a group of which nothing is known be taken for new? (K4) */
  mayBeNew(id: string): boolean {
    return this.newUntilGuess === 0 && this.isUnknown(id);
  }

  /** A group of which nothing was known was looked for (K4). One that has expired, and whose alerts are sent again, is none that is new. */
  foundNew(isNew: boolean): void {
    if (!isNew) this.newUntilGuess = NEW_BEFORE_GUESS;
    else if (this.newUntilGuess > 0) this.newUntilGuess -= 1;
  }

  /** The same for a mailbox of lone instances: the last commit of this process there (K3). */
  lastLone(mailbox: string): string | null {
    return this.loneCommits.get(mailbox) ?? null;
  }

  loneCommitted(mailbox: string, commitId: string): void {
    this.loneCommits.set(mailbox, commitId);
  }

  /** Will the next turn of a mailbox have to read? (K2) */
  mustRead(mailbox: string): boolean {
    return this.readsLeft.has(mailbox);
  }

  /** May the next turn of a mailbox start without reading? Asked once a turn (K2). */
  mayGuess(mailbox: string): boolean {
    const left = this.readsLeft.get(mailbox);
    if (left === undefined) return true;
    if (left === 1) this.readsLeft.delete(mailbox);
    else this.readsLeft.set(mailbox, left - 1);
    return false;
  }

  /**
   * The group that was read. One that is known by the same text is not parsed again: with a high count it is long.
   * @throws BECALM_GROUP_UNREADABLE
   */
  decode(id: string, { version, value }: { version: number; value: string }): Group {
    const known = this.known.get(id);
    const group = known?.value === value ? known.group : decodeGroup(id, value);
    this.learn({ version, value, group, seenBy: null });
    return group;
  }

  /** K1. */
  learn(known: KnownGroup): void {
    this.forget(known.group.id);
    if (this.known.size >= GROUP_COUNT_MAX || this.units + known.value.length > UNITS_MAX) {
      this.known.clear();
      this.units = 0;
    }
    this.known.set(known.group.id, known);
    this.units += known.value.length;
  }

  /** A commit on its way finds the group as it is known, and leaves it so. */
  compared(id: string, version: number, commitId: string): void {
    const known = this.known.get(id);
    if (known?.version === version) this.known.set(id, { ...known, seenBy: commitId });
  }

  /** The turn did not come out, so nothing that was decided since in its mailbox holds. */
  forget(id: string): void {
    this.loneCommits.delete(id);
    this.units -= this.known.get(id)?.value.length ?? 0;
    this.known.delete(id);
  }

  /** K2. */
  metDuplicate(mailbox: string): void {
    this.readFor(mailbox, READS_AFTER_DUPLICATE);
  }

  /** K2. */
  hasLost(mailbox: string): void {
    if (!this.readsLeft.has(mailbox)) this.readFor(mailbox, READS_AFTER_LOSS);
  }

  private readFor(mailbox: string, turns: number): void {
    if (this.readsLeft.size >= GROUP_COUNT_MAX) this.readsLeft.clear();
    this.readsLeft.set(mailbox, turns);
  }
}
