/** The rows as a table for people. */
import type { Row, Target } from "./figures.ts";

export type Standing = "aim" | "reached" | "missed" | "reported";

export function standingOf({ value, target }: Row): Standing {
  if (target === null) return "reported";
  if (holds(value, target, target.aim)) return "aim";
  return holds(value, target, target.value) ? "reached" : "missed";
}

/** What --quick insists on. */
export function keepsGuard({ value, target }: Row): boolean {
  return target === null || holds(value, target, target.guard);
}

function holds(value: number, { direction }: Target, bound: number): boolean {
  return direction === "at least" ? value >= bound : value <= bound;
}

export function rowText(row: Row, command: string): string {
  const { target, parts } = row;
  const wanted =
    target === null ? "reported" : `${target.direction} ${number(target.value)}, aim ${number(target.aim)}`;
  const made = Object.entries(parts).map(([name, value]) => `${name} ${number(value)}`);
  return [
    `${row.figure}: ${number(row.value)} ${row.unit} (${wanted}): ${standingOf(row)}`,
    `    ${made.join(", ")}`,
    `    ${command}`,
  ].join("\n");
}

export function number(value: number): string {
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString("en", {
    maximumFractionDigits: digits,
    minimumFractionDigits: Number.isInteger(value) ? 0 : digits,
  });
}
