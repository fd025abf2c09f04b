/**
 * Alerts that no policy in force matches, and a candidate does: no history tells of them, so their episodes are
 * remembered here, in memory, within limits. When there are more the oldest are forgotten, and counted. Pure.
 */
import type { Alert } from "../model/alert.ts";
import { type Episode, endedByLease, NO_GRACE, receive } from "../model/episode.ts";
import { alertOfReceipt, type Receipt } from "../model/receipt.ts";
import type { RecordedEnd } from "./recorded-history.ts";
import type { TimelineBuilder } from "./timeline.ts";

export type UnmatchedLimits = {
  readonly countMax: number;
  /** About how many bytes of labels. */
  readonly bytesMax: number;
};

type Unmatched = { readonly alert: Alert; readonly beganAtMs: number; episode: Episode };

export class UnmatchedAlerts {
  readonly #limits: UnmatchedLimits;
  readonly #matches: (labels: Alert["labels"]) => boolean;
  /** In the order in which they began, by fingerprint and start. */
  readonly #episodes = new Map<string, Unmatched>();
  /** The last one of each alert, by fingerprint. */
  readonly #last = new Map<string, Unmatched>();
  #bytes = 0;
  #forgotten = 0;

  constructor(limits: UnmatchedLimits, matches: (labels: Alert["labels"]) => boolean) {
    this.#limits = limits;
    this.#matches = matches;
  }

  /** How many episodes are remembered. */
  get count(): number {
    return this.#episodes.size;
  }

  get forgotten(): number {
    return this.#forgotten;
  }

  /** Takes the receipts of one request. `unmatched`: the indexes of those that no policy in force matches. */
  take(receipts: readonly (Receipt | undefined)[], unmatched: readonly number[], atMs: number): void {
    // A policy that is put into force later may match the end of what nothing matched before.
    const indexes = this.#last.size === 0 ? unmatched : receipts.keys();
    const isUnmatched = new Set(unmatched);
    for (const index of indexes) {
      const receipt = receipts[index];
      if (receipt === undefined || !(isUnmatched.has(index) || this.#last.has(receipt.fingerprint))) continue;
      if (this.#matches(receipt.labels)) this.#receive(receipt, atMs);
    }
  }

  #receive(receipt: Receipt, receivedAtMs: number): void {
    const { fingerprint } = receipt;
    const last = this.#last.get(fingerprint);
    const reception = receive(last?.episode ?? null, { ...receipt, receivedAtMs });
    if (reception.kind === "begins") {
      if (last !== undefined && reception.ended !== null) last.episode = reception.ended;
      const { episode } = reception;
      // No rule asks for annotations.
      const alert = { ...alertOfReceipt(receipt, episode.startMs), status: "firing" as const, annotations: {} };
      this.#remember({ alert, beganAtMs: receivedAtMs, episode });
    } else if (last !== undefined && reception.kind === "ends") last.episode = reception.episode;
    else if (last !== undefined && reception.kind === "goes_on") last.episode = reception.renewed ?? last.episode;
  }

  #remember(one: Unmatched): void {
    const { fingerprint } = one.alert;
    this.#episodes.set(keyOf(one), one);
    this.#last.set(fingerprint, one);
    this.#bytes += bytesOf(one);
    const { countMax, bytesMax } = this.#limits;
    for (const oldest of this.#episodes.values()) {
      if (this.#episodes.size <= countMax && this.#bytes <= bytesMax) return;
      this.#forget(oldest);
    }
  }

  #forget(one: Unmatched): void {
    const { fingerprint } = one.alert;
    this.#episodes.delete(keyOf(one));
    if (this.#last.get(fingerprint) === one) this.#last.delete(fingerprint);
    this.#bytes -= bytesOf(one);
    this.#forgotten += 1;
  }

  /** Adds what began from then on. */
  addTo(timeline: TimelineBuilder, { fromMs, untilMs }: { fromMs: number; untilMs: number }): void {
    for (const { alert, beganAtMs, episode } of this.#episodes.values())
      if (beganAtMs >= fromMs && beganAtMs <= untilMs)
        timeline.addUnmatched({ alert, beganAtMs, startMs: episode.startMs, end: endOf(episode, untilMs) });
  }
}

function keyOf({ alert, episode }: Unmatched): string {
  return `${alert.fingerprint} ${episode.startMs}`;
}

function bytesOf({ alert }: Unmatched): number {
  return Object.entries(alert.labels).reduce((sum, [name, value]) => sum + 2 * (name.length + value.length), 0);
}

/** As far as it is known at that time. */
function endOf(episode: Episode, untilMs: number): RecordedEnd | null {
  const { end } = endedByLease(episode, untilMs, NO_GRACE);
  return end === null || end.receivedAtMs > untilMs ? null : { reason: end.reason, atMs: end.receivedAtMs };
}
