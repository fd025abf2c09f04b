/** What `send`, `approve` and `deny` commit, committed by a running server. */
import { BecalmError } from "../model/errors.ts";
import type { Envelope, EnvelopeResult } from "../runtime/commit/batch.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { Driver } from "../runtime/runtime.ts";
import { askServer, type ServerAddress } from "../stores/server/server-store.ts";

/** Of a group that holds thousands each takes its time; the server commits what comes at once together. */
const AT_ONCE_COUNT = 32;

export class ServerDriver implements Pick<Driver, "submit"> {
  readonly #address: ServerAddress;
  readonly #reader: InstanceReader;
  #begun = 0;

  constructor(address: ServerAddress, reader: InstanceReader) {
    this.#address = address;
    this.#reader = reader;
  }

  /** Instances whose actions the server has begun because of what was sent. */
  get begun(): number {
    return this.#begun;
  }

  /** Some at once, in their order. One of a group that the server refuses need not stop the others. */
  async submit(envelopes: readonly Envelope[]): Promise<readonly EnvelopeResult[]> {
    const results: EnvelopeResult[] = [];
    for (let from = 0; from < envelopes.length; from += AT_ONCE_COUNT) {
      const some = envelopes.slice(from, from + AT_ONCE_COUNT);
      results.push(...(await Promise.all(some.map(({ command }) => this.#send(command)))));
    }
    return results;
  }

  async #send(command: Envelope["command"]): Promise<EnvelopeResult> {
    if (command.type !== "event") throw new Error("a server is sent events only");
    const { id, event } = command;
    const { type, by, why } = event as { type: string; by?: string; why?: string };
    try {
      const row = await askServer(this.#address, `/v1/instances/${encodeURIComponent(id)}/events`, {
        body: { type, by, why },
      });
      if ((row as { state?: string }).state === "Processing") this.#begun += 1;
      return { outcome: "applied", instance: await this.#reader.instance(id) };
    } catch (error) {
      if (!(error instanceof BecalmError) || error.code !== "BECALM_EVENT_REFUSED") throw error;
      return { outcome: "refused", instance: await this.#reader.instance(id) };
    }
  }
}
