/**
 * Looks at the shadow now and then, for the metrics. It looks when something was decided since the last time, the
 * candidate is another one, or the last look failed; at most once a minute, and it takes at most a twentieth of one
 * core: the longer a look takes, the longer it waits for the next one.
 */
import type { Engine, ShadowReport } from "../../engine.ts";
import { messageOf } from "../../model/errors.ts";
import type { Logger } from "../../system/logger.ts";

const EVERY_MS = 60_000;
const FIRST_AFTER_MS = 10_000;
/** A look of one second is followed by nineteen without. */
const REST_FACTOR = 19;
const LOOK_MS_MAX = 60_000;

/** null in `report`: the last look failed. */
export type ShadowLook = { readonly report: ShadowReport | null; readonly tookMs: number };

type Ports = {
  readonly engine: Pick<Engine, "shadow" | "status" | "subscribe">;
  readonly logger: Logger;
  readonly looked: (look: ShadowLook) => void;
};

export class ShadowWatch {
  readonly #ports: Ports;
  readonly #stopped = new AbortController();
  readonly #unsubscribe: () => void;
  /** Something was decided that no look has seen. */
  #isNew = true;
  /** The shadow as the last look found it. */
  #status: string | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(ports: Ports) {
    this.#ports = ports;
    this.#unsubscribe = ports.engine.subscribe(() => {
      this.#isNew = true;
    });
    this.#lookIn(FIRST_AFTER_MS);
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#unsubscribe();
    this.#stopped.abort(new Error("the server stops"));
  }

  /** One look, now. Gives how long it took. */
  async look(): Promise<number> {
    const { engine, logger, looked } = this.#ports;
    const startedMs = performance.now();
    const signal = AbortSignal.any([this.#stopped.signal, AbortSignal.timeout(LOOK_MS_MAX)]);
    let report: ShadowReport | null = null;
    try {
      report = await engine.shadow({ limit: 0, signal });
    } catch (error) {
      this.#isNew = true;
      if (!this.#stopped.signal.aborted)
        logger.warn({ reason: messageOf(error) }, "the shadow could not be looked at; it is tried again");
    }
    const tookMs = performance.now() - startedMs;
    if (!this.#stopped.signal.aborted) looked({ report, tookMs });
    return tookMs;
  }

  #lookIn(delayMs: number): void {
    if (this.#stopped.signal.aborted) return;
    this.#timer = setTimeout(() => void this.#lookAndRest(), delayMs);
    this.#timer.unref();
  }

  async #lookAndRest(): Promise<void> {
    const status = JSON.stringify(this.#ports.engine.status().shadow);
    const isWorthIt = this.#isNew || status !== this.#status;
    this.#isNew = false;
    this.#status = status;
    const tookMs = isWorthIt ? await this.look() : 0;
    this.#lookIn(Math.max(EVERY_MS, REST_FACTOR * tookMs));
  }
}
