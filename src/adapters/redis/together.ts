/**
 * What is asked for in one go, before anything is waited for, goes to the server in few commands: a command costs the same whatever it carries.
 * Not in one turn of the event loop: the server would have nothing to do until the turns of all partitions are decided.
 */

type Waiting<Request, Reply> = {
  readonly request: Request;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: unknown) => void;
};

export type TogetherOptions<Request, Reply> = {
  /** What one command carries at most; a request that is larger goes alone. */
  readonly sizeMax: number;
  readonly sizeOf: (request: Request) => number;
  /** Sends requests of one partition; replies stand in their order. A rejection is that of each of them. */
  readonly send: (partition: number, requests: readonly Request[]) => Promise<readonly Reply[]>;
};

/**
 * Gathers requests by partition. Each request is answered for itself, so whoever asks need not know of the others.
 * Their order within a partition stays as it is.
 */
export class Together<Request, Reply> {
  readonly #options: TogetherOptions<Request, Reply>;
  readonly #waiting = new Map<number, Waiting<Request, Reply>[]>();

  constructor(options: TogetherOptions<Request, Reply>) {
    this.#options = options;
  }

  ask(partition: number, request: Request): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.size === 0) queueMicrotask(() => this.#sendAll());
      const waiting = this.#waiting.get(partition);
      if (waiting === undefined) this.#waiting.set(partition, [{ request, resolve, reject }]);
      else waiting.push({ request, resolve, reject });
    });
  }

  #sendAll(): void {
    const gathered = [...this.#waiting];
    this.#waiting.clear();
    for (const [partition, waiting] of gathered) {
      for (const batch of this.#batches(waiting)) void this.#send(partition, batch);
    }
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
      for (const [index, { resolve }] of batch.entries()) resolve(replies[index] as Reply);
    } catch (error) {
      for (const { reject } of batch) reject(error);
    }
  }
}
