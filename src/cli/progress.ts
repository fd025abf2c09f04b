import type { Terminal } from "./terminal.ts";

const SILENT_MS = 1_000;
const UPDATED_EVERY_MS = 100;
const NOTED_EVERY_MS = 10_000;

/**
 * How far work has come, for work that takes more than a second: one line that is updated on a screen, a line now and
 * then in a log.
 */
export class Progress {
  readonly #terminal: Terminal;
  readonly #isQuiet: boolean;
  readonly #startedAtMs = performance.now();
  #nextAtMs: number;

  constructor(terminal: Terminal, { isQuiet = false }: { isQuiet?: boolean } = {}) {
    this.#terminal = terminal;
    this.#isQuiet = isQuiet;
    this.#nextAtMs = this.#startedAtMs + SILENT_MS;
  }

  /** `text` is made only when it is shown. It gets the seconds since the start. */
  update(text: (seconds: number) => string): void {
    const nowMs = performance.now();
    if (this.#isQuiet || nowMs < this.#nextAtMs) return;
    const line = text((nowMs - this.#startedAtMs) / 1_000);
    if (this.#terminal.isWatched) this.#terminal.status(line);
    else this.#terminal.note(line);
    this.#nextAtMs = nowMs + (this.#terminal.isWatched ? UPDATED_EVERY_MS : NOTED_EVERY_MS);
  }

  end(): void {
    this.#terminal.status("");
  }
}
