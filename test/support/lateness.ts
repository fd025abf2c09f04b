/**
 * BECALM_TEST_LATE_MS=15 makes what tests are answered late, by a random time of up to so many milliseconds each way: replies of stores,
 * of Redis, of HTTP servers, and what programs print. A test that is right only when replies are quick fails then, not some day on a
 * slow machine. Not set, nothing here changes anything.
 */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { Readable } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";

const LATE_MS = Number(process.env["BECALM_TEST_LATE_MS"] ?? 0);

export const isLate = LATE_MS > 0;

/** One way. */
export async function late(): Promise<void> {
  if (isLate) await delay(Math.random() * LATE_MS);
}

/** Sends a call and waits for its reply, both late. */
export async function travelling<Reply>(send: () => Promise<Reply>): Promise<Reply> {
  if (!isLate) return send();
  await late();
  const reply = await send();
  await late();
  return reply;
}

/** What it answers by promises comes late. */
export function lateCalls<Store extends object>(store: Store): Store {
  if (!isLate) return store;
  return new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member === "object" && member !== null) return lateCalls(member);
      if (typeof member !== "function") return member;
      const method = member.bind(target) as (...given: unknown[]) => unknown;
      return (...given: unknown[]) => {
        const reply = method(...given);
        return reply instanceof Promise ? travelling(() => reply as Promise<unknown>) : reply;
      };
    },
  });
}

/** The same text, piece for piece. */
export function lateStream(stream: Readable): Readable {
  return isLate ? Readable.from(latePieces(stream), { objectMode: false }) : stream;
}

async function* latePieces(stream: Readable): AsyncGenerator<Buffer> {
  for await (const piece of stream) {
    await late();
    yield piece as Buffer;
  }
  await late();
}

export type LateProxy = { readonly port: number; stop(): void };

/** Stands before a server on loopback: what passes it, in both directions, keeps its order. */
export async function startLateProxy(serverPort: number): Promise<LateProxy> {
  const sockets = new Set<Socket>();
  const pass = (from: Socket, to: Socket) => {
    let last: Promise<unknown> = Promise.resolve();
    const then = (act: () => void) => {
      last = Promise.all([last, late()]).then(act);
    };
    from.on("data", (data) => then(() => to.write(data)));
    from.on("end", () => then(() => to.end()));
    from.on("close", () => then(() => to.destroy()));
  };
  const proxy = createServer({ allowHalfOpen: true }, (client) => {
    const server = connect({ port: serverPort, host: "127.0.0.1", allowHalfOpen: true });
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    pass(client, server);
    pass(server, client);
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");
  return {
    port: (proxy.address() as AddressInfo).port,
    stop: () => {
      proxy.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
