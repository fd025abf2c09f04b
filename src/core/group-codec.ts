import { BecalmError } from "./errors.ts";
import type { FormingMember } from "./forming.ts";
import type { Group, Standing } from "./group.ts";

const GROUP_FORMAT = 1;

/** A forming member as stored: id, creation time, standing, had an attempt, success time. A group with a high `count` has many of them. */
type StoredMember = readonly [
  id: string,
  createdAtMs: number,
  standing: Standing,
  hadAttempt: 0 | 1,
  succeededAtMs?: number,
];

type StoredGroup = Omit<Group, "forming"> & { readonly format: unknown; readonly forming: readonly StoredMember[] };

export function encodeGroup(group: Group): string {
  return JSON.stringify({ format: GROUP_FORMAT, ...group, forming: group.forming.map(storedMember) });
}

function storedMember({ id, createdAtMs, standing, hadAttempt, succeededAtMs }: FormingMember): StoredMember {
  const member = [id, createdAtMs, standing, hadAttempt ? 1 : 0] as const;
  return succeededAtMs === null ? member : [...member, succeededAtMs];
}

function memberOf(stored: StoredMember): FormingMember {
  const [id, createdAtMs, standing, hadAttempt, succeededAtMs] = stored;
  return { id, createdAtMs, standing, hadAttempt: hadAttempt === 1, succeededAtMs: succeededAtMs ?? null };
}

/**
 * Reads a stored group.
 * @throws BECALM_GROUP_UNREADABLE: its alerts are refused and nothing is written, so that a program that can read it loses nothing.
 */
export function decodeGroup(id: string, value: string): Group {
  const { format, ...group } = parse(id, value);
  if (format !== GROUP_FORMAT)
    throw unreadable(id, `its format is ${JSON.stringify(format)}, this program knows ${GROUP_FORMAT}`);
  const numbers = [group.epoch, group.lastAtMs, group.waiters, group.held, group.arrivals, group.arms];
  const lists = [group.forming, group.summaries];
  const areListed = lists.every(Array.isArray) && group.forming.every(Array.isArray);
  if (group.id !== id || !numbers.every((value_) => typeof value_ === "number") || !areListed) {
    throw unreadable(id, "a field is missing or of another type");
  }
  return { ...group, forming: group.forming.map(memberOf) };
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
