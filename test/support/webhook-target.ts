/** A real HTTP target on a free loopback port that counts what it is sent. */
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { late } from "./lateness.ts";

export type Delivery = {
  readonly key: string;
  readonly body: {
    readonly policy: string;
    readonly attempt: number;
    readonly instance: string;
    readonly kind: string;
  };
};

export type WebhookTarget = {
  readonly url: string;
  readonly deliveries: Delivery[];
  /** Called with each delivery, which is answered when that is over. */
  onDelivery: (delivery: Delivery, count: number) => void | Promise<void>;
  stop(): Promise<void>;
};

/** `statusOf` must depend on the delivery alone: one that comes again gets the same answer. */
export async function startWebhookTarget(statusOf: (delivery: Delivery) => number): Promise<WebhookTarget> {
  const server = createServer((request, response: ServerResponse) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    const answer = async () => {
      await late();
      const body = JSON.parse(Buffer.concat(chunks).toString()) as Delivery["body"];
      const delivery = { key: String(request.headers["idempotency-key"]), body };
      target.deliveries.push(delivery);
      await target.onDelivery(delivery, target.deliveries.length);
      await late();
      response.writeHead(statusOf(delivery)).end("seen");
    };
    request.on("end", () => void answer());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const target: WebhookTarget = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    deliveries: [],
    onDelivery: () => {},
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
  return target;
}
