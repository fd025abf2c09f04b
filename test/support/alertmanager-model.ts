/**
 * What Alertmanager makes of the alerts that are posted to its API v2: one stored alert a fingerprint, merged with what comes as its
 * provider does it (release 0.25). Written after its observable behaviour, which test/scenarios/alertmanager-witness.test.ts checks on a real one.
 */
export type PostedAlert = { readonly startsAtMs: number | null; readonly endsAtMs: number | null };

type Stored = {
  readonly startsAtMs: number;
  readonly endsAtMs: number;
  /** `endsAtMs` was made up. */
  readonly isTimeout: boolean;
};

const RESOLVE_TIMEOUT_MS = 300_000;

export class AlertmanagerModel {
  /** How often the alert began to fire: its uninterrupted activities. */
  activities = 0;
  #stored: Stored | null = null;

  post({ startsAtMs, endsAtMs }: PostedAlert, nowMs: number): void {
    const wasFiring = this.isFiring(nowMs);
    const posted: Stored = {
      startsAtMs: startsAtMs ?? endsAtMs ?? nowMs,
      endsAtMs: endsAtMs ?? nowMs + RESOLVE_TIMEOUT_MS,
      isTimeout: endsAtMs === null,
    };
    const old = this.#stored;
    this.#stored = old !== null && overlaps(old, posted) ? merged(old, posted, nowMs) : posted;
    if (!wasFiring && this.isFiring(nowMs)) this.activities += 1;
  }

  isFiring(nowMs: number): boolean {
    return this.#stored !== null && !isResolved(this.#stored, nowMs);
  }

  get startsAtMs(): number | null {
    return this.#stored?.startsAtMs ?? null;
  }
}

/** Begins or ends within the activity that is stored. */
function overlaps(old: Stored, posted: Stored): boolean {
  const endsWithin = posted.endsAtMs > old.startsAtMs && posted.endsAtMs < old.endsAtMs;
  const startsWithin = posted.startsAtMs > old.startsAtMs && posted.startsAtMs < old.endsAtMs;
  return endsWithin || startsWithin;
}

function merged(old: Stored, posted: Stored, nowMs: number): Stored {
  const startsAtMs = Math.min(old.startsAtMs, posted.startsAtMs);
  const isKept = isResolved(posted, nowMs)
    ? isResolved(old, nowMs) && old.endsAtMs > posted.endsAtMs
    : old.endsAtMs > posted.endsAtMs && !old.isTimeout;
  return { ...posted, startsAtMs, endsAtMs: isKept ? old.endsAtMs : posted.endsAtMs };
}

function isResolved({ endsAtMs }: Stored, nowMs: number): boolean {
  return endsAtMs <= nowMs;
}
