import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export type CuttingProxy = {
  /** `redis://127.0.0.1:<port>` of the proxy. */
  readonly url: string;
  /** How many answers were swallowed. */
  readonly cuts: number;
  /** Once a request that contains `text` has been forwarded: pass so many bytes of the server's next answer (default none) and drop the connection. */
  cutAnswerTo(text: string, passedBytes?: number): void;
  stop(): void;
};

/** Stands between a client and a server on loopback, and loses an answer when told to: the server has done the work by then. */
export async function startCuttingProxy(serverPort: number): Promise<CuttingProxy> {
  let awaited: string | null = null;
  let passed = 0;
  let cuts = 0;
  const sockets = new Set<Socket>();

  const proxy = createServer((client) => {
    const server = connect(serverPort, "127.0.0.1");
    let isAnswerLost = false;
    for (const socket of [client, server]) {
      sockets.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => sockets.delete(socket));
    }
    client.on("data", (data) => {
      if (awaited !== null && data.includes(awaited)) isAnswerLost = true;
      server.write(data);
    });
    server.on("data", (data) => {
      if (!isAnswerLost) return void client.write(data);
      isAnswerLost = false;
      awaited = null;
      cuts += 1;
      client.end(data.subarray(0, passed));
      server.destroy();
    });
    client.on("close", () => server.destroy());
    server.on("close", () => client.end());
  });
  proxy.listen(0, "127.0.0.1");
  await once(proxy, "listening");

  return {
    url: `redis://127.0.0.1:${(proxy.address() as AddressInfo).port}`,
    get cuts() {
      return cuts;
    },
    cutAnswerTo: (text, passedBytes = 0) => {
      passed = passedBytes;
      awaited = text;
    },
    stop: () => {
      proxy.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
