/**
 * What is asked for at about the same time goes to the server in few commands, and these in one write: a command costs
 * the same whatever it carries, and a write costs as much as a decision.
 */

type Waiting<Request, Reply> = {
  readonly request: Request;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
};

export type TogetherOptions<Request, Reply> = {
  /** What one command carries at most; a request that is larger goes alone. */
  readonly sizeMax: number;
  /** From so much on nothing more is waited for: the server can begin while the rest is decided. */
  readonly sizeEnough: number;
  readonly sizeOf: (request: Request) => number;
  /**
   * Sends requests of one partition; replies come in their order, and an error is that of its request. A rejection is
   * that of each of them.
   */
  readonly send: (partition: number, requests: readonly Request[]) => Promise<readonly (Reply | Error)[]>;
  /** Calls `sendAll` so that what it sends is written at once. */
  readonly write: (sendAll: () => void) => void;
};

/**
 * Gathers requests by partition. Each request is answered for itself, so whoever asks need not know of the others.
 * Their order within a partition stays as it is.
 */
export class CommandBatcher<Request, Reply> {
  readonly #options: TogetherOptions<Request, Reply>;
  readonly #waiting = new Map<number, Waiting<Request, Reply>[]>();
  #size = 0;
  #isExpected = false;
  #isDue = false;

  constructor(options: TogetherOptions<Request, Reply>) {
    this.#options = options;
  }

  ask(partition: number, request: Request): Promise<Reply> {
    return new Promise((resolve, reject) => {
      const waiting = this.#waiting.get(partition);
      if (waiting === undefined) this.#waiting.set(partition, [{ request, resolve, reject }]);
      else waiting.push({ request, resolve, reject });
      this.#size += this.#options.sizeOf(request);
      this.#expect();
    });
  }

  /**
   * At the end of this turn of the event loop; when there is enough, as soon as whoever asks has asked for all that it
   * wants.
   */
  #expect(): void {
    if (!this.#isExpected) {
      this.#isExpected = true;
      setImmediate(() => {
        this.#isExpected = false;
        this.#sendAll();
      });
    }
    if (this.#isDue || this.#size < this.#options.sizeEnough) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#sendAll();
    });
  }

  #sendAll(): void {
    if (this.#waiting.size === 0) return;
    const gathered = [...this.#waiting];
    this.#waiting.clear();
    this.#size = 0;
    this.#options.write(() => {
      for (const [partition, waiting] of gathered) {
        for (const batch of this.#batches(waiting)) void this.#send(partition, batch);
      }
    });
  }

  #batches(waiting: readonly Waiting<Request, Reply>[]): Waiting<Request, Reply>[][] {
    const { sizeOf, sizeMax } = this.#options;
    const batches: Waiting<Request, Reply>[][] = [];
    let size = Number.POSITIVE_INFINITY;
    for (const one of waiting) {
      size += sizeOf(one.request);
      if (size > sizeMax) {
        batches.push([]);
        size = sizeOf(one.request);
      }
      batches.at(-1)?.push(one);
    }
    return batches;
  }

  async #send(partition: number, batch: readonly Waiting<Request, Reply>[]): Promise<void> {
    try {
      const replies = await this.#options.send(
        partition,
        batch.map(({ request }) => request),
      );
      for (const [index, { resolve, reject }] of batch.entries()) {
        const reply = replies[index] as Reply | Error;
        if (reply instanceof Error) reject(reply);
        else resolve(reply);
      }
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
