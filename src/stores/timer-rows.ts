/** Timers as a store keeps them. */

/**
 * What need not happen for a virtual run to be done lives in the lane `approval`: approvals, verifying, what is decided
 * again, what a silence or a pause holds.
 */
export type TimerLane = "work" | "approval";

export type TimerKey = {
  lane: TimerLane;
  /** Id of the instance or group that owns the timer. Contains no space and no control character. */
  owner: string;
  /**
   * What it is for: `retry`, `wait`, `approval`, `verify`, `reconsider`, `silence`, `pause`, `lock`, `summary`, `wake`.
   */
  name: string;
  /** Number of the arming: a timer that was armed again has a higher one. */
  arm: number;
  partition: number;
};

export type TimerRow = TimerKey & { dueAtMs: number };

/** `fromMs`: default the beginning. `partition`: only those of it; default: of all. */
export type TimersRequest = {
  lane: TimerLane;
  untilMs: number;
  limit: number;
  fromMs?: number;
  partition?: number;
};
