/**
 * A slow and obvious model of when an alert's episodes begin and end. It keeps every receipt that it was given and every episode that there
 * was; what is open, and since when, is worked out from those lists each time. Sentences in quotes are the rules that the line below them
 * implements. Rules that differ from Alertmanager's can be switched off, to see what difference each makes.
 */
export type SlowReceipt = {
  readonly form: "v2" | "v4";
  readonly status: "firing" | "resolved";
  readonly startsAtMs: number | null;
  readonly endsAtMs: number | null;
  readonly receivedAtMs: number;
};

export type SlowEnd = { readonly why: "alert_resolved" | "lease_over" | "resolve_lost"; readonly atMs: number };

export type SlowEpisode = {
  readonly startMs: number;
  readonly opener: SlowReceipt;
  /** Receipts that were written down, the opener first. */
  readonly recorded: SlowReceipt[];
  end: (SlowEnd & { readonly toldAtMs: number }) | null;
};

export type SlowWord = "begins" | "goes_on" | "ends" | "late" | "nothing_open";

export type SlowRules = {
  /** Late words, firing and resolved. */
  readonly lateWords: boolean;
  /** Only renewals that are due are written down; off: every lease is known as it is. */
  readonly recordedLeases: boolean;
  /** Off: of two leases the later word counts if the earlier one was made up for a missing `endsAt`, as in Alertmanager. */
  readonly greatestLease: boolean;
  /** A receipt at the very end of a lease comes before that end. */
  readonly receiptFirst: boolean;
};

const ALL_RULES: SlowRules = { lateWords: true, recordedLeases: true, greatestLease: true, receiptFirst: true };

/** Alertmanager's own rules: none of those that differ from them on purpose. */
export const ALERTMANAGER_RULES: SlowRules = {
  lateWords: false,
  recordedLeases: false,
  greatestLease: false,
  receiptFirst: false,
};

const MINUTE_MS = 60_000;
const RESOLVE_TIMEOUT_MS = 5 * MINUTE_MS;

export class SlowEpisodes {
  readonly episodes: SlowEpisode[] = [];
  readonly words: SlowWord[] = [];
  readonly #rules: SlowRules;

  constructor(rules: Partial<SlowRules> = {}) {
    this.#rules = { ...ALL_RULES, ...rules };
  }

  receive(receipt: SlowReceipt): SlowWord {
    this.passTo(receipt.receivedAtMs);
    const word = receipt.status === "resolved" ? this.#resolved(receipt) : this.#firing(receipt);
    this.words.push(word);
    return word;
  }

  /** "Or the lease runs out": strictly before what is received at its very end. */
  passTo(atMs: number): void {
    const open = this.#open();
    if (open === null) return;
    const leaseMs = this.leaseMs(open);
    if (leaseMs === null || leaseMs > atMs || (leaseMs === atMs && this.#rules.receiptFirst)) return;
    open.end = { why: "lease_over", atMs: leaseMs, toldAtMs: leaseMs };
  }

  /** "A v2 receipt carries one ... The greatest recorded one counts. A v4 receipt carries none and lifts it for the rest of the episode." */
  leaseMs({ recorded }: SlowEpisode): number | null {
    if (recorded.some(({ form }) => form === "v4")) return null;
    return recorded.map(leaseOf).reduce((a, b) => Math.max(a, b));
  }

  #open(): SlowEpisode | null {
    return this.episodes.find(({ end }) => end === null) ?? null;
  }

  #resolved(receipt: SlowReceipt): SlowWord {
    const open = this.#open();
    // "A resolved receipt without an open episode makes nothing".
    if (open === null) return "nothing_open";
    // "v4, its endsAt lies before the startsAt that the opening receipt sent; v2, before the episode's start".
    const sinceMs = receipt.form === "v4" ? (open.opener.startsAtMs ?? open.startMs) : open.startMs;
    if (this.#rules.lateWords && receipt.endsAtMs !== null && receipt.endsAtMs < sinceMs) return "late";
    const atMs = receipt.endsAtMs ?? receipt.receivedAtMs;
    open.end = { why: "alert_resolved", atMs, toldAtMs: receipt.receivedAtMs };
    return "ends";
  }

  #firing(receipt: SlowReceipt): SlowWord {
    const open = this.#open();
    if (open === null) return this.#begin(receipt);
    if (this.#isResolveLost(open, receipt)) {
      const atMs = receipt.receivedAtMs;
      open.end = { why: "resolve_lost", atMs, toldAtMs: atMs };
      return this.#add(ownStart(receipt), receipt);
    }
    if (this.#isWorthRecording(open, receipt)) this.#record(open, receipt);
    return "goes_on";
  }

  /** "... lies more than two resolve timeouts after the recorded last receipt of an episode without lease". */
  #isResolveLost(open: SlowEpisode, receipt: SlowReceipt): boolean {
    if (this.leaseMs(open) !== null) return false;
    const last = open.recorded.map(({ receivedAtMs }) => receivedAtMs).reduce((a, b) => Math.max(a, b));
    return ownStart(receipt) - last > 2 * RESOLVE_TIMEOUT_MS;
  }

  #isWorthRecording(open: SlowEpisode, receipt: SlowReceipt): boolean {
    const leaseMs = this.leaseMs(open);
    const last = open.recorded.map(({ receivedAtMs }) => receivedAtMs).reduce((a, b) => Math.max(a, b));
    // "for episodes without lease at most once per resolve timeout".
    if (leaseMs === null) return receipt.receivedAtMs - last >= RESOLVE_TIMEOUT_MS;
    if (receipt.form === "v4" || !this.#rules.recordedLeases) return true;
    // "whenever less than half of the lease is left".
    return leaseMs - receipt.receivedAtMs < (leaseOf(receipt) - receipt.receivedAtMs) / 2;
  }

  #record(open: SlowEpisode, receipt: SlowReceipt): void {
    const isMadeUp = open.recorded.at(-1)?.endsAtMs === null;
    const isShorter = leaseOf(receipt) < (this.leaseMs(open) ?? 0);
    if (!this.#rules.greatestLease && isMadeUp && isShorter) open.recorded.splice(0);
    open.recorded.push(receipt);
  }

  /** "A firing receipt while none is open begins one." */
  #begin(receipt: SlowReceipt): SlowWord {
    const before = this.episodes.at(-1);
    // "Its start is startsAt, at most the time of receipt (missing or zero: that)."
    if (before?.end == null) return this.#add(ownStart(receipt), receipt);
    const { why, atMs, toldAtMs } = before.end;
    // "if startsAt lies after the endsAt of the resolve that ended it (missing: that resolve's receipt; a lease: its end)".
    if (receipt.startsAtMs !== null && receipt.startsAtMs > atMs) return this.#add(ownStart(receipt), receipt);
    // "otherwise, after a lease that ran out, it begins one at the time of receipt".
    if (why === "lease_over") return this.#add(receipt.receivedAtMs, receipt);
    // "less than 1 min after the receipt of that resolve, it is a late word".
    if (this.#rules.lateWords && receipt.receivedAtMs - toldAtMs < MINUTE_MS) return "late";
    return this.#add(receipt.receivedAtMs, receipt);
  }

  /** No two episodes have one start: their instances would be one. */
  #add(startMs: number, opener: SlowReceipt): SlowWord {
    const starts = this.episodes.map((episode) => episode.startMs);
    const later = starts.length === 0 ? startMs : Math.max(startMs, Math.max(...starts) + 1);
    this.episodes.push({ startMs: later, opener, recorded: [opener], end: null });
    return "begins";
  }
}

function ownStart({ startsAtMs, receivedAtMs }: SlowReceipt): number {
  return startsAtMs === null || startsAtMs > receivedAtMs ? receivedAtMs : startsAtMs;
}

/** "its endsAt, missing: receipt + resolve timeout". */
function leaseOf({ endsAtMs, receivedAtMs }: SlowReceipt): number {
  return endsAtMs ?? receivedAtMs + RESOLVE_TIMEOUT_MS;
}
