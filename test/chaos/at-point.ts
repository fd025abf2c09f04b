/** In a process of the harness: kills or stops itself at the point that it was given, once (named-points.ts). */
import { appendFileSync } from "node:fs";

export type PointOrder = {
  readonly point: string;
  readonly signal: "SIGKILL" | "SIGSTOP";
  /** So often it passes the point unharmed. */
  readonly passes: number;
  /** Gets a line before the deed: `PID SIGNAL POINT`. */
  readonly logPath: string;
};

let order: PointOrder | null = null;
let passesLeft = 0;

export function obey(next: PointOrder): void {
  order = next;
  passesLeft = next.passes;
}

(globalThis as { becalmAtPoint?: (point: string) => void }).becalmAtPoint = (point) => {
  if (order?.point !== point) return;
  passesLeft -= 1;
  if (passesLeft >= 0) return;
  const { signal, logPath } = order;
  order = null;
  appendFileSync(logPath, `${process.pid} ${signal} ${point}\n`);
  process.kill(process.pid, signal);
};
