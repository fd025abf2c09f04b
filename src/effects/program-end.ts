/**
 * The end of a program that was started in a process group of its own.
 *
 * A program that still runs when this process exits (a second Ctrl-C, an error that nobody caught) is asked to end: its
 * attempt will be delivered again, and should not run twice at once.
 *
 * Owns: the signals that end the group, and the timers between them.
 * Does not own: the outputs; whoever reads them has them complete when `wait` resolves, as far as they will ever be.
 * E1 A program that ends by itself is left alone with what it started: it may leave something running on purpose.
 * E2 A program that is terminated leaves nothing of its group running.
 * E3 `wait` resolves even if the system cannot end the program.
 */
import type { ChildProcess } from "node:child_process";

export type Ending = {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly wasTerminated: boolean;
};

/** Programs that run now. While there are any, one listener for all of them waits for the end of this process. */
const running = new Set<ProgramEnd>();

function terminateAll(): void {
  for (const program of running) program.terminateAtExit();
}

export class ProgramEnd {
  readonly #child: ChildProcess;
  readonly #delays: { readonly killDelayMs: number; readonly drainMs: number };
  #exit: { exitCode: number | null; signal: NodeJS.Signals | null } | null = null;
  #wasTerminated = false;
  #wasKilled = false;
  #isClosed = false;
  readonly #timers: NodeJS.Timeout[] = [];
  #resolve: (ending: Ending) => void = () => {};

  constructor(child: ChildProcess, delays: { killDelayMs: number; drainMs: number }) {
    this.#child = child;
    this.#delays = delays;
  }

  /** Rejects when the program could not be started. Terminates it when `signal` fires. */
  async wait(signal: AbortSignal): Promise<Ending> {
    const terminate = () => this.#terminate();
    const exited = () => {
      // What it left behind is not ours to end (E1).
      if (!this.#wasTerminated) signal.removeEventListener("abort", terminate);
    };
    if (running.size === 0) process.on("exit", terminateAll);
    running.add(this);
    try {
      return await new Promise<Ending>((resolve, reject) => {
        this.#resolve = resolve;
        this.#child.once("error", reject);
        this.#child.once("exit", exited);
        this.#child.once("exit", (exitCode, exitSignal) => this.#exited(exitCode, exitSignal));
        this.#child.once("close", () => this.#closed());
        signal.addEventListener("abort", terminate, { once: true });
        if (signal.aborted) terminate();
      });
    } finally {
      running.delete(this);
      if (running.size === 0) process.off("exit", terminateAll);
      signal.removeEventListener("abort", terminate);
      for (const timer of this.#timers) clearTimeout(timer);
      // Something else may hold the other ends; ours must not keep this process alive.
      for (const stream of [this.#child.stdin, this.#child.stdout, this.#child.stderr]) stream?.destroy();
    }
  }

  /** Nothing can be waited for any longer. What ended by itself is left alone (E1). */
  terminateAtExit(): void {
    if (this.#exit === null) this.#signalGroup("SIGTERM");
  }

  #exited(exitCode: number | null, signal: NodeJS.Signals | null): void {
    this.#exit = { exitCode, signal };
    if (!this.#wasTerminated || this.#wasKilled) this.#finishAfterDrain();
  }

  #closed(): void {
    this.#isClosed = true;
    if (!this.#wasTerminated || this.#wasKilled || !this.#isGroupAlive()) this.#finish();
  }

  #terminate(): void {
    this.#wasTerminated = true;
    this.#signalGroup("SIGTERM");
    this.#after(this.#delays.killDelayMs, () => this.#kill());
  }

  #kill(): void {
    this.#wasKilled = true;
    this.#signalGroup("SIGKILL");
    if (this.#isClosed) this.#finish();
    else this.#finishAfterDrain();
  }

  /** The outputs close with the program, unless something else holds them (E1) or it cannot be ended (E3). */
  #finishAfterDrain(): void {
    this.#after(this.#delays.drainMs, () => this.#finish());
  }

  #finish(): void {
    const exit = this.#exit ?? { exitCode: null, signal: "SIGKILL" as const };
    this.#resolve({ ...exit, wasTerminated: this.#wasTerminated });
  }

  #after(delayMs: number, fn: () => void): void {
    this.#timers.push(setTimeout(fn, delayMs));
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, signal);
    } catch {
      // The group is gone, or the system has no groups.
      this.#child.kill(signal);
    }
  }

  /** The id cannot belong to a new group as long as a process of the old one lives. */
  #isGroupAlive(): boolean {
    if (this.#child.pid === undefined) return false;
    try {
      process.kill(-this.#child.pid, 0);
      return true;
    } catch (error) {
      return (error as { code?: unknown }).code === "EPERM";
    }
  }
}
