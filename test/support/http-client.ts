/** Requests to a server under test, with every header under the test's control. */
import { request } from "node:http";
import { connect } from "node:net";
import { travelling } from "./lateness.ts";

export type Sent = {
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Buffer;
};

export type Received = {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly text: string;
  readonly json: unknown;
};

/** Unlike `fetch` it sends any Host and Origin. */
export function send(url: string, sent: Sent = {}): Promise<Received> {
  return travelling(() => sendNow(url, sent));
}

function sendNow(url: string, { method = "GET", headers = {}, body }: Sent): Promise<Received> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: parsed(text) });
      });
      response.on("error", reject);
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

export function sendJson(url: string, value: unknown, { method = "POST", headers = {} }: Sent = {}): Promise<Received> {
  const body = Buffer.from(JSON.stringify(value));
  // Node announces the length of a body for some methods only.
  const own = { "content-type": "application/json", "content-length": String(body.length) };
  return send(url, { method, headers: { ...own, ...headers }, body });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Writes bytes to the server's socket and gives all that it answers until it closes the connection. */
export function sendBytes(port: number, pieces: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1");
    let text = "";
    socket.setEncoding("utf8");
    socket.on("data", (piece: string) => (text += piece));
    socket.on("error", (error: NodeJS.ErrnoException) =>
      error.code === "ECONNRESET" || error.code === "EPIPE" ? undefined : reject(error),
    );
    socket.on("close", () => resolve(text));
    for (const piece of pieces) socket.write(piece);
  });
}
