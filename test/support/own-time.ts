/**
 * Time as the process that runs a test has it. A machine that is busy with others lets a process wait for a core; that
 * is not time that the code under test took.
 */
import { readFileSync } from "node:fs";

/** Milliseconds that `work` took, without those for which this thread was ready to run and another one had its core. */
export async function ownMs(work: () => unknown): Promise<number> {
  const [beganAtMs, waitedMs] = [performance.now(), waitedForCoreMs()];
  await work();
  return performance.now() - beganAtMs - (waitedForCoreMs() - waitedMs);
}

/** The kernel counts it; where it does not (or is not Linux), nothing was waited for. */
function waitedForCoreMs(): number {
  try {
    const [, waitedNs] = readFileSync("/proc/self/schedstat", "utf8").split(" ");
    return Number(waitedNs) / 1_000_000;
  } catch {
    return 0;
  }
}

/** For NODE_OPTIONS: the process writes, as its last line on stderr, how long it lived by `ownMs`. */
export const TELLS_OWN_MS = `--import=data:text/javascript,${encodeURIComponent(
  `import { readFileSync } from "node:fs";
process.on("exit", () => {
  let waitedNs = 0;
  try { waitedNs = Number(readFileSync("/proc/self/schedstat", "utf8").split(" ")[1]); } catch {}
  process.stderr.write("own " + (performance.now() - waitedNs / 1e6) + " ms\\n");
});`,
)}`;

export function toldOwnMs(stderr: string): number {
  return Number(/^own (\S+) ms$/m.exec(stderr)?.[1]);
}
