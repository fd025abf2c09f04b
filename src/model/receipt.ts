import type { Alert } from "./alert.ts";

/**
 * How a receipt says that its alert fires. `v4`: its status says so, and it fires until a resolved receipt comes. `v2`:
 * its `endsAt` is a lease, which each further receipt renews.
 */
export type ReceiptForm = "v2" | "v4";

/** One alert of one request, as it was sent. */
export type Receipt = Omit<Alert, "startsAtMs"> & {
  readonly form: ReceiptForm;
  /** Epoch milliseconds; null: the sender gave none. */
  readonly startsAtMs: number | null;
};

/** The part of a receipt that its episode depends on, and when it came. */
export type ReceiptTimes = Pick<Receipt, "form" | "status" | "startsAtMs" | "endsAtMs"> & {
  readonly receivedAtMs: number;
};

/** The alert of a receipt whose episode began at `startMs`, which stands for a missing `startsAt`. */
export function alertOfReceipt(receipt: Receipt, startMs: number): Alert {
  // The other fields are the alert's own; copying them would cost every alert of a storm an object.
  return receipt.startsAtMs === null ? { ...receipt, startsAtMs: startMs } : (receipt as Alert);
}
