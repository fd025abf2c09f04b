/**
 * An alert as the rest of the system takes it, whatever wire format brought it.
 * An episode is (labels, startsAtMs); `fingerprint` is always computed here (model/fingerprint.ts), never taken from
 * the sender.
 */
export type Alert = {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** Epoch milliseconds: when this episode began. */
  readonly startsAtMs: number;
  /** Epoch milliseconds, or null when the sender gave none. It arms no timer. */
  readonly endsAtMs: number | null;
  readonly status: "firing" | "resolved";
  readonly generatorURL: string | null;
  /** 16 hex digits, see model/fingerprint.ts. */
  readonly fingerprint: string;
};
