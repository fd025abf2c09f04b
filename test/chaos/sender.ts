/** Sends alerts as Alertmanager does: again and again until somebody acknowledges them; some twice, some long after they were taken. */
import { fingerprintOf } from "../../src/model/fingerprint.ts";
import type { SentRequest } from "../checkers/recording.ts";
import type { SeededRandom } from "../simulation/seeded-random.ts";
import { KINDS } from "./chaos-policies.ts";
import type { Contender } from "./contender.ts";

const HOST_COUNT = 4;
const TICK_MS = 100;
const AGAIN = 0.1;

export type SentAlert = {
  readonly labels: Readonly<Record<string, string>>;
  readonly startsAt: number;
  readonly status: "firing";
};

export type Acknowledged = {
  readonly fingerprint: string;
  readonly labels: SentAlert["labels"];
  readonly atMs: number;
};

/** Codes of refusals after which nothing can have been written. */
const CERTAIN: ReadonlySet<string> = new Set([
  "BECALM_CONFLICT",
  "BECALM_STORE_FULL",
  "BECALM_STORE_FORBIDDEN",
  "BECALM_BUSY",
]);

export class Sender {
  readonly requests: SentRequest[] = [];
  /** By fingerprint, when it was acknowledged first. */
  readonly acknowledged = new Map<string, Acknowledged>();
  sentCount = 0;
  readonly #random: SeededRandom;
  readonly #contenders: () => readonly Contender[];
  readonly #perSecond: number;
  #again: SentAlert[] = [];
  #underway = 0;
  #timer: NodeJS.Timeout | null = null;
  #owed = 0;
  #isFresh = true;

  constructor(random: SeededRandom, perSecond: number, contenders: () => readonly Contender[]) {
    this.#random = random;
    this.#perSecond = perSecond;
    this.#contenders = contenders;
  }

  start(): void {
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  /** Sends nothing new any more; what nobody has acknowledged goes on. */
  end(): void {
    this.#isFresh = false;
  }

  get isDone(): boolean {
    return !this.#isFresh && this.#again.length === 0 && this.#underway === 0;
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
  }

  #tick(): void {
    const living = this.#contenders().filter(({ isDead, isReady, isStopped }) => !isDead && isReady && !isStopped);
    if (living.length === 0) return;
    const alerts = this.#again.splice(0, 50);
    if (this.#isFresh) {
      this.#owed += (this.#perSecond * TICK_MS) / 1_000;
      for (; this.#owed >= 1; this.#owed -= 1) alerts.push(this.#fresh());
      const known = [...this.acknowledged.values()];
      if (known.length > 0 && this.#random.chance(AGAIN)) {
        const { labels } = this.#random.pick(known);
        alerts.push({ labels, startsAt: Date.now(), status: "firing" });
      }
    }
    if (alerts.length > 0) void this.#send(this.#random.pick(living), alerts);
  }

  #fresh(): SentAlert {
    this.sentCount += 1;
    const kind = this.#random.pick(KINDS);
    const labels = { alertname: "Full", kind, host: `h${this.#random.below(HOST_COUNT)}`, name: `a${this.sentCount}` };
    return { labels, startsAt: Date.now(), status: "firing" };
  }

  async #send(contender: Contender, alerts: readonly SentAlert[]): Promise<void> {
    const atMs = Date.now();
    const { stoppedMs } = contender;
    const fingerprints = alerts.map(({ labels }) => fingerprintOf(labels));
    this.#underway += 1;
    const answer = await contender.ingest(alerts);
    this.#underway -= 1;
    const answeredAtMs = Date.now() - (contender.stoppedMs - stoppedMs);
    // Nobody can answer while he is stopped.
    const isCounted = answer !== null && !contender.isStopped;
    this.requests.push({
      atMs,
      answeredAtMs: isCounted ? answeredAtMs : null,
      answeredOrder: null,
      resolved: [],
      taken: answer?.taken ?? [],
      refused: (answer?.refused ?? []).map(({ alert, code }) => {
        return { fingerprint: fingerprints[alert] ?? "", code, isUnknown: !CERTAIN.has(code) };
      }),
      error: answer?.error ?? null,
    });
    const taken = new Set(answer?.taken.map(({ alert }) => alert));
    for (const [index, alert] of alerts.entries()) {
      const fingerprint = fingerprints[index] as string;
      if (!taken.has(index)) this.#again.push(alert);
      else if (!this.acknowledged.has(fingerprint))
        this.acknowledged.set(fingerprint, { fingerprint, labels: alert.labels, atMs: Date.now() });
    }
  }
}
