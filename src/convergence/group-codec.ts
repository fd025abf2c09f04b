import { BecalmError } from "../model/errors.ts";
import type { FormingMember, Standing } from "./forming.ts";
import type { Group } from "./group.ts";

const GROUP_FORMAT = 2;

/**
 * Forming members as one text, a word each: a group with a high `count` has thousands, and writes them with each
 * commit. A word is `<id>,<letter>,<time>`, or `<id>,<letter>,<time>,<time>` when it has succeeded. The letter is that
 * of its standing, a capital when it had an attempt. Times count in ms, base 36: of its creation since the group's
 * epoch, of its success since its creation.
 */
type StoredGroup = Omit<Group, "forming"> & { readonly format: unknown; readonly forming: string };

const LETTERS: Readonly<Record<Standing, string>> = { none: "n", inProgress: "p", succeeded: "s", failed: "f" };
const STANDINGS: Readonly<Record<string, Standing>> = { n: "none", p: "inProgress", s: "succeeded", f: "failed" };
const MEMBER = /^([^ ,]+),([npsf]),(-?[0-9a-z]+)(?:,(-?[0-9a-z]+))?$/i;

export function encodeGroup(group: Group): string {
  const others = JSON.stringify({ format: GROUP_FORMAT, ...group, forming: undefined });
  return `${others.slice(0, -1)},"forming":"${formingText(group)}"}`;
}

/** Words that need no escapes, as all ids of ours make: looking for some costs as much as all the rest. */
const PLAIN = /^[\w ,-]*$/;

function escaped(text: string): string {
  return PLAIN.test(text) ? text : JSON.stringify(text).slice(1, -1);
}

/** Neighbours whose words are kept together. */
const PIECE_LENGTH = 16;

/** The words of neighbours, as they were written last. */
type Piece = { readonly members: readonly FormingMember[]; readonly epoch: number; readonly text: string };

/** By the first of them. */
const PIECES = new WeakMap<FormingMember, Piece>();

/**
 * The words of all members with a space between them, as JSON has them. Each commit of a forming group writes all, and
 * changes a few.
 */
function formingText({ forming, epoch }: Group): string {
  let text = "";
  let from = 0;
  for (; from + PIECE_LENGTH <= forming.length; from += PIECE_LENGTH) text += ` ${pieceText(forming, from, epoch)}`;
  for (; from < forming.length; from += 1) text += ` ${wordOf(forming[from] as FormingMember, epoch)}`;
  return text.slice(1);
}

function pieceText(forming: readonly FormingMember[], from: number, epoch: number): string {
  const first = forming[from] as FormingMember;
  const known = PIECES.get(first);
  if (known !== undefined && known.epoch === epoch && isAt(forming, from, known.members)) return known.text;
  const members = forming.slice(from, from + PIECE_LENGTH);
  const text = members.map((member) => wordOf(member, epoch)).join(" ");
  PIECES.set(first, { members, epoch, text });
  return text;
}

function isAt(forming: readonly FormingMember[], from: number, members: readonly FormingMember[]): boolean {
  for (let at = 1; at < members.length; at += 1) if (forming[from + at] !== members[at]) return false;
  return true;
}

function wordOf({ id, createdAtMs, standing, hadAttempt, succeededAtMs }: FormingMember, epoch: number): string {
  const letter = hadAttempt ? LETTERS[standing].toUpperCase() : LETTERS[standing];
  const succeeded = succeededAtMs === null ? "" : `,${(succeededAtMs - createdAtMs).toString(36)}`;
  return `${escaped(id)},${letter},${(createdAtMs - epoch).toString(36)}${succeeded}`;
}

function formingFrom(groupId: string, text: string, epoch: number): FormingMember[] {
  if (text === "") return [];
  return text.split(" ").map((word) => {
    const [, id = "", letter = "", created = "", succeeded] = MEMBER.exec(word) ?? [];
    const standing = STANDINGS[letter.toLowerCase()];
    if (standing === undefined) throw unreadable(groupId, `"${word}" is not a member`);
    const createdAtMs = epoch + Number.parseInt(created, 36);
    return {
      id,
      createdAtMs,
      standing,
      hadAttempt: letter !== letter.toLowerCase(),
      succeededAtMs: succeeded === undefined ? null : createdAtMs + Number.parseInt(succeeded, 36),
    };
  });
}

/** Format 1 had a list for each member. Its groups are read, and written anew with the next commit. */
type ListedMember = readonly [
  id: string,
  createdAtMs: number,
  standing: Standing,
  hadAttempt: 0 | 1,
  succeededAtMs?: number,
];

function formingFromLists(lists: readonly ListedMember[]): FormingMember[] {
  return lists.map(([id, createdAtMs, standing, hadAttempt, succeededAtMs]) => {
    return { id, createdAtMs, standing, hadAttempt: hadAttempt === 1, succeededAtMs: succeededAtMs ?? null };
  });
}

/**
 * Reads a stored group.
 * @throws BECALM_GROUP_UNREADABLE: its alerts are refused and nothing is written, so that a program that can read it
 * loses nothing.
 */
export function decodeGroup(id: string, value: string): Group {
  const { format, ...group } = parse(id, value);
  if (format !== GROUP_FORMAT && format !== 1)
    throw unreadable(id, `its format is ${JSON.stringify(format)}, this program knows 1 and ${GROUP_FORMAT}`);
  const numbers = [group.epoch, group.lastAtMs, group.waiters, group.held, group.arrivals, group.arms];
  const forming: unknown = group.forming;
  const isForming = format === 1 ? Array.isArray(forming) && forming.every(Array.isArray) : typeof forming === "string";
  const isComplete = Array.isArray(group.summaries) && isForming;
  if (group.id !== id || !numbers.every((value_) => typeof value_ === "number") || !isComplete) {
    throw unreadable(id, "a field is missing or of another type");
  }
  return {
    ...group,
    forming:
      format === 1 ? formingFromLists(forming as ListedMember[]) : formingFrom(id, forming as string, group.epoch),
  };
}

/** The same; what cannot be read is answered, for whoever only looks. */
export function tryGroup(id: string, value: string): Group | BecalmError {
  try {
    return decodeGroup(id, value);
  } catch (error) {
    if (error instanceof BecalmError) return error;
    throw error;
  }
}

function parse(id: string, value: string): StoredGroup {
  try {
    const parsed: unknown = JSON.parse(value);
    if (typeof parsed === "object" && parsed !== null) return parsed as StoredGroup;
  } catch {
    // Said below, with the id.
  }
  throw unreadable(id, "its text is not a JSON object");
}

function unreadable(id: string, what: string): BecalmError {
  return new BecalmError(
    "BECALM_GROUP_UNREADABLE",
    `Group ${id} cannot be read: ${what}. Its alerts are refused, so send them again after the repair.`,
    {
      details: { group: id },
    },
  );
}
