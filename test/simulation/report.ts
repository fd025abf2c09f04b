import type { Violation } from "../checkers/recording.ts";

export type FailedSchedule = {
  readonly seed: number;
  readonly scenario: string;
  readonly violations: readonly Violation[];
};

/** What many schedules came to. */
export type SimulationReport = {
  readonly schedules: number;
  readonly steps: number;
  readonly instances: number;
  readonly attempts: number;
  readonly timers: number;
  readonly ms: number;
  readonly failures: readonly FailedSchedule[];
};

/** What a person reads of a failed schedule: what was found, and how to see it again. */
export function failureText({ seed, scenario, violations }: FailedSchedule): string {
  const found = violations.map(({ checker, what }) => `  ${checker}: ${what}`).join("\n");
  const again = `npm run simulate -- --seed ${seed} --count 1 --scenario "${scenario}" --verbose`;
  return `seed ${seed} (${scenario}):\n${found}\n  see it again: ${again}`;
}
