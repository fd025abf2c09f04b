/** SIGINT and SIGTERM: the first asks to stop at the next good place, the second ends the process at once. */
const EXIT_CODES = { SIGINT: 130, SIGTERM: 143 } as const;

type Signal = keyof typeof EXIT_CODES;

export type Interrupts = {
  /** Exit code of the signal that came, or null. */
  readonly exitCode: () => number | null;
  /** Aborted by the first signal: whoever only waits for input need not wait any longer. */
  readonly signal: AbortSignal;
  readonly end: () => void;
};

export function catchInterrupts(onFirst: (signal: Signal) => void): Interrupts {
  const stopped = new AbortController();
  let exitCode: number | null = null;
  const take = (signal: Signal) => {
    if (exitCode !== null) process.exit(EXIT_CODES[signal]);
    exitCode = EXIT_CODES[signal];
    onFirst(signal);
    stopped.abort();
  };
  process.on("SIGINT", take);
  process.on("SIGTERM", take);
  return {
    exitCode: () => exitCode,
    signal: stopped.signal,
    end: () => {
      process.off("SIGINT", take);
      process.off("SIGTERM", take);
    },
  };
}
