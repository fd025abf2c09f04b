/** How often an instance had been decided again, in numbers and in words. */
import type { AuditEntry, History } from "../instance/audit-types.ts";

/** This entry and those before it that decided the instance again. */
export function timesDecidedAgain({ hash }: AuditEntry, { entries }: History): number {
  const until = entries.findIndex((candidate) => candidate.hash === hash);
  const seen = until < 0 ? entries : entries.slice(0, until + 1);
  return seen.filter(({ event, path }) => event.type === "reconsider" && path.includes("Idle")).length;
}

/** 1st, 2nd, 11th. */
export function ordinal(n: number): string {
  const teen = n % 100 >= 11 && n % 100 <= 13;
  return `${n}${teen ? "th" : (["th", "st", "nd", "rd"][n % 10] ?? "th")}`;
}
