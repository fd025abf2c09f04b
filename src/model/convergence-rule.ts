/** The ten convergence functions, in the order of the table in docs/machines.md. */
export const CONVERGENCE_FUNCTIONS = [
  "skip_when_success",
  "approve_when_failed",
  "skip_when_proceed",
  "wait_when_proceed",
  "skip_when_exceed",
  "defense",
  "collect",
  "collect_alarm",
  "trigger",
  "relevance",
] as const;

export type ConvergenceFunction = (typeof CONVERGENCE_FUNCTIONS)[number];

/** What a dimension may be listed as: labels are text, other programs' dimensions may be anything JSON has. */
export type DimensionValue = string | number | boolean | null | readonly DimensionValue[];

/** A policy's rule. `windowMs` and `maxWindowMs` are exact milliseconds. */
export type ConvergenceRule = {
  readonly function: ConvergenceFunction;
  /** Dimensions compared with the instance's own value. */
  readonly by?: readonly string[];
  /** Dimension -> allowed values: which instances the rule governs. */
  readonly where?: Readonly<Record<string, readonly DimensionValue[]>>;
  /** At least 1: the instance that makes the number reach it opens the group. */
  readonly count: number;
  readonly windowMs: number;
  readonly maxWindowMs?: number;
  /** collect, collect_alarm: how long after the window's end the summary is due. Default 0. */
  readonly summaryDelayMs?: number;
};

/** Numbers of peers at the moment of a decision; none of them counts the instance itself. */
export type Observation = {
  /** This instance opens the group. */
  readonly isNew: boolean;
  /** Peers that have had an attempt. */
  readonly executed: number;
  readonly succeeded: number;
  readonly failed: number;
  readonly inProgress: number;
  /**
   * Peers that ended without failure inside the window, the newest 256 of them; an engine counts them under
   * skip_when_proceed only, else 0.
   */
  readonly settledWithoutFailure: number;
  /** A parent group is open. Until there are groups of groups: false. */
  readonly parentOpen: boolean;
};
