/** A TCP proxy between engines and a server, which delays, cuts, swallows one reply, stalls and partitions when it is told to. */
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export type FaultyProxy = {
  readonly port: number;
  /** Every piece of a reply comes so much later. */
  delayMs: number;
  /** Drops every connection; new ones are accepted. */
  cut(): void;
  /** The next reply to anybody is lost, with its connection: the server has done the work by then. */
  swallowReply(): void;
  /** Nothing passes for so long; connections stay. */
  stall(ms: number): void;
  /** Connections are dropped, and nobody is let in for so long. */
  partition(ms: number): void;
  stop(): void;
};

export async function startFaultyProxy(serverPort: number): Promise<FaultyProxy> {
  const pairs = new Set<readonly [client: Socket, server: Socket]>();
  let isSwallowing = false;
  let isPartitioned = false;
  let stalledUntilMs = 0;

  const listener = createServer((client) => {
    if (isPartitioned) return void client.destroy();
    const server = connect(serverPort, "127.0.0.1");
    const pair = [client, server] as const;
    pairs.add(pair);
    const end = () => {
      pairs.delete(pair);
      client.destroy();
      server.destroy();
    };
    for (const socket of pair) socket.on("error", end).on("close", end);
    pass(client, server, () => 0);
    pass(server, client, () => {
      if (isSwallowing) {
        isSwallowing = false;
        end();
      }
      return proxy.delayMs;
    });
  });

  /** In order, however long each piece is held up. */
  function pass(from: Socket, to: Socket, delayMsOf: () => number): void {
    let last = Promise.resolve();
    from.on("data", (piece: Buffer) => {
      const delayMs = delayMsOf();
      const heldMs = Math.max(stalledUntilMs - Date.now(), delayMs);
      const send = () => void (to.destroyed || to.write(piece));
      last =
        heldMs > 0
          ? Promise.all([last, new Promise((resolve) => setTimeout(resolve, heldMs))]).then(send)
          : last.then(send);
    });
  }

  const cut = () => {
    for (const [client, server] of pairs) {
      client.destroy();
      server.destroy();
    }
  };
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const proxy: FaultyProxy = {
    port: (listener.address() as AddressInfo).port,
    delayMs: 0,
    cut,
    swallowReply: () => {
      isSwallowing = true;
    },
    stall: (ms) => {
      stalledUntilMs = Date.now() + ms;
    },
    partition: (ms) => {
      isPartitioned = true;
      cut();
      setTimeout(() => {
        isPartitioned = false;
      }, ms);
    },
    stop: () => {
      listener.close();
      cut();
    },
  };
  return proxy;
}
