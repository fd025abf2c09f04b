/**
 * A shadow: candidate policies on the alerts that an engine decides under the policies in force. Nothing of it acts,
 * and nothing of it is written.
 *
 * While alerts are decided it only remembers those that no policy in force matches and the candidate does; everything
 * else is in the histories. When somebody asks, the candidate is played on both in a memory of its own, with the
 * outcomes, answers, silences and pauses that were real, and compared with what was decided. So a shadow that has the
 * policies in force says that nothing would go another way.
 */
import { type PolicyInput, policySetFrom } from "./formats/policy-file.ts";
import type { Receipt } from "./model/receipt.ts";
import type { PolicySet } from "./policy/policy.ts";
import { compilePolicy } from "./policy/policy-versions.ts";
import { type RecordedDifference, recordedDifference } from "./recorded-difference.ts";
import { abortable } from "./runtime/abortable.ts";
import type { InstanceReader } from "./runtime/instance-reader.ts";
import { UnmatchedAlerts } from "./simulate/unmatched-alerts.ts";
import { Turns } from "./system/turns.ts";

/** Of alerts without an instance the newest activities are remembered. */
const UNMATCHED_LIMITS = { countMax: 10_000, bytesMax: 32 * 1_024 * 1_024 };
/** Histories that one look reads: its memory, and the longest time for which it holds others up, grow with them. */
const READ_COUNT_MAX = 10_000;
const REACH_MS_MAX = 24 * 3_600_000;
const CHANGES_DEFAULT = 100;

export type ShadowStatus = {
  /** Since when this candidate is the shadow. */
  readonly since: string;
  /**
   * Activities of alerts that no policy in force matches and the candidate does: remembered, and forgotten because
   * there were too many.
   */
  readonly unmatched: number;
  readonly forgotten: number;
};

/** `since`: from when on instances were compared. */
export type ShadowReport = RecordedDifference & { readonly shadow: ShadowStatus };

export type ShadowRequest = {
  /**
   * How far back, in epoch ms. Default: since it is the shadow, at most 24 h. Alerts without an instance are known
   * since then only.
   */
  readonly sinceMs?: number | undefined;
  /** Changes that are given, those that matter first. Default 100. */
  readonly limit?: number | undefined;
  /** Ends the work: it rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
};

export class Shadow {
  #set: PolicySet;
  #text: string;
  #sinceMs: number;
  #unmatched: UnmatchedAlerts;
  /** One at a time: it takes the processor from what is decided live. */
  #last: Promise<unknown> = Promise.resolve();

  constructor(set: PolicySet, nowMs: number) {
    this.#set = set;
    this.#text = JSON.stringify(set);
    this.#sinceMs = nowMs;
    this.#unmatched = unmatchedBy(set);
  }

  get status(): ShadowStatus {
    const { count, forgotten } = this.#unmatched;
    return { since: new Date(this.#sinceMs).toISOString(), unmatched: count, forgotten };
  }

  /** Another candidate begins afresh; the same one goes on. */
  replace(set: PolicySet, nowMs: number): void {
    const text = JSON.stringify(set);
    if (text === this.#text) return;
    this.#set = set;
    this.#text = text;
    this.#sinceMs = nowMs;
    this.#unmatched = unmatchedBy(set);
  }

  /** What an engine has taken; `unmatched`: indexes of those that no policy in force matches. */
  taken(receipts: readonly (Receipt | undefined)[], unmatched: readonly number[], atMs: number): void {
    this.#unmatched.take(receipts, unmatched, atMs);
  }

  difference(reader: InstanceReader, request: ShadowRequest = {}): Promise<ShadowReport> {
    const report = this.#last.then(() => this.#difference(reader, request));
    this.#last = report.catch(() => {});
    const { signal } = request;
    return signal ? abortable(signal, () => report) : report;
  }

  async #difference(reader: InstanceReader, request: ShadowRequest): Promise<ShadowReport> {
    const { limit = CHANGES_DEFAULT, signal } = request;
    signal?.throwIfAborted();
    const nowMs = reader.runtime.clock.now();
    const { status } = this;
    const turns = new Turns(() => signal?.throwIfAborted());
    const difference = await recordedDifference(reader, {
      set: this.#set,
      unmatched: this.#unmatched,
      fromMs: request.sinceMs ?? Math.max(this.#sinceMs, nowMs - REACH_MS_MAX),
      nowMs,
      readCountMax: READ_COUNT_MAX,
      limit,
      between: () => turns.next(),
    });
    return { ...difference, shadow: status };
  }
}

/** The shadow from now on. `policies` undefined: it stays as it is. */
export function castShadow(shadow: Shadow | null, policies: PolicyInput | undefined, nowMs: number): Shadow | null {
  if (policies === undefined) return shadow;
  const set = policySetFrom(policies, "shadow");
  if (shadow === null) return new Shadow(set, nowMs);
  shadow.replace(set, nowMs);
  return shadow;
}

function unmatchedBy({ policies }: PolicySet): UnmatchedAlerts {
  const compiled = policies.map((policy) => compilePolicy(policy));
  return new UnmatchedAlerts(UNMATCHED_LIMITS, (labels) => compiled.some(({ matches }) => matches(labels)));
}
