import { BecalmError } from "./errors.ts";
import type { Group } from "./group.ts";

const GROUP_FORMAT = 1;

export function encodeGroup(group: Group): string {
  return JSON.stringify({ format: GROUP_FORMAT, ...group });
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
  if (group.id !== id || !numbers.every((value_) => typeof value_ === "number") || !lists.every(Array.isArray)) {
    throw unreadable(id, "a field is missing or of another type");
  }
  return group;
}

function parse(id: string, value: string): Group & { format: unknown } {
  try {
    const parsed: unknown = JSON.parse(value);
    if (typeof parsed === "object" && parsed !== null) return parsed as Group & { format: unknown };
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
