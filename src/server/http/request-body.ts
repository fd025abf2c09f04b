/** Reads bodies within limits: each by its size, all together by what the process will hold at once. */
import type { IncomingMessage } from "node:http";
import { HttpRefusal } from "./http-refusal.ts";

export type BodyLimits = {
  /** The largest body that is taken. */
  readonly bodyBytesMax: number;
  /** Bodies in memory at once, over all requests; a further one is refused for now. */
  readonly heldBytesMax: number;
};

/**
 * Counts the bytes of bodies that requests hold, so that a storm of large requests is answered with 503 and not with a
 * crash.
 */
export class BodyReader {
  readonly #limits: BodyLimits;
  #heldBytes = 0;

  constructor(limits: BodyLimits) {
    this.#limits = limits;
  }

  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Calls `use` with the whole body; its bytes count as held until the promise of `use` settles. */
  async withBody<T>(incoming: IncomingMessage, use: (body: Buffer) => Promise<T>): Promise<T> {
    const announced = Number(incoming.headers["content-length"] ?? 0);
    this.#requireRoom(announced);
    const held = { bytes: 0 };
    try {
      return await use(await this.#read(incoming, held));
    } finally {
      this.#heldBytes -= held.bytes;
    }
  }

  #requireRoom(bytes: number): void {
    const { bodyBytesMax, heldBytesMax } = this.#limits;
    if (bytes > bodyBytesMax) throw tooLarge(bodyBytesMax);
    if (this.#heldBytes > 0 && this.#heldBytes + bytes > heldBytesMax) throw busy();
  }

  #read(incoming: IncomingMessage, held: { bytes: number }): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const chunks: Buffer[] = [];
      const end = (settle: () => void) => {
        incoming.off("data", take).off("end", done).off("error", fail).off("close", fail);
        settle();
      };
      const take = (chunk: Buffer) => {
        try {
          this.#requireRoom(held.bytes + chunk.length > this.#limits.bodyBytesMax ? Infinity : chunk.length);
        } catch (error) {
          // Bytes that follow are read by the server's own clean-up and go nowhere.
          end(() => reject(error));
          return;
        }
        held.bytes += chunk.length;
        this.#heldBytes += chunk.length;
        chunks.push(chunk);
      };
      const done = () => end(() => resolve(chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks)));
      const fail = () => end(() => reject(cutShort()));
      incoming.on("data", take).on("end", done).on("error", fail).on("close", fail);
    });
  }
}

function tooLarge(bytes: number): HttpRefusal {
  const why = `The body is larger than ${bytes} bytes. Send it in parts, or start the server with a larger --max-body.`;
  return new HttpRefusal(413, "BECALM_REQUEST_REFUSED", { why, headers: { connection: "close" } });
}

function busy(): HttpRefusal {
  const why = "The server holds as many bodies as it may. Send it again in a moment.";
  return new HttpRefusal(503, "BECALM_BUSY", { why, headers: { "retry-after": "1" } });
}

function cutShort(): HttpRefusal {
  return new HttpRefusal(400, "BECALM_REQUEST_REFUSED", { why: "The body ended too early." });
}
