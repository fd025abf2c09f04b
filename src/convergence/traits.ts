/** What a group must do for its convergence function, besides counting peers. One row a function. */
import type { ConvergenceFunction } from "../model/convergence-rule.ts";

export type Traits = {
  /** A group with a peer in progress or a waiter stays open past its window, and knows who is in progress. */
  readonly lingers: boolean;
  /** Open, it decides by how many have executed: until `count` have, deciding takes the dimension lock. */
  readonly limitsExecuted: boolean;
  /** It remembers when peers ended without failure. */
  readonly tracksSettled: boolean;
  /** Its opener schedules a summary of those that are skipped. */
  readonly summarises: boolean;
};

const NONE: Traits = { lingers: false, limitsExecuted: false, tracksSettled: false, summarises: false };

export const TRAITS: Readonly<Record<ConvergenceFunction, Traits>> = {
  skip_when_success: { ...NONE, lingers: true },
  approve_when_failed: { ...NONE, lingers: true },
  skip_when_proceed: { ...NONE, lingers: true, tracksSettled: true },
  wait_when_proceed: { ...NONE, lingers: true },
  skip_when_exceed: { ...NONE, limitsExecuted: true },
  defense: { ...NONE, limitsExecuted: true },
  collect: { ...NONE, limitsExecuted: true, summarises: true },
  collect_alarm: { ...NONE, summarises: true },
  trigger: NONE,
  relevance: NONE,
};

/** Functions whose groups linger. */
export function lingers(fn: ConvergenceFunction): boolean {
  return TRAITS[fn].lingers;
}
