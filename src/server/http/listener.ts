/** The socket side: listens with limits and time limits, and drains. What requests mean is the app's business. */
import { readFileSync } from "node:fs";
import { createServer as createHttp, type Server } from "node:http";
import { createServer as createHttps } from "node:https";
import type { AddressInfo } from "node:net";
import { createSecureContext } from "node:tls";
import { createAdaptorServer } from "@hono/node-server";
import { BecalmError, messageOf } from "../../model/errors.ts";
import { type ListenAddress, urlHost } from "./listen-address.ts";

/** A client has this long for its headers, and this long for the whole request. */
const HEADERS_MS_MAX = 10_000;
const REQUEST_MS_MAX = 30_000;
/**
 * Longer than the idle time of the usual clients (Go's is 90 s), so that they close first and never send into a closed
 * socket.
 */
const KEEP_ALIVE_MS = 100_000;
/**
 * A socket on which nothing moves, such as that of a client that does not read its answer. Event streams send a comment
 * more often.
 */
const SILENCE_MS_MAX = 120_000;
const HEADER_BYTES_MAX = 16 * 1_024;
const CHECKED_EVERY_MS = 1_000;
const IDLE_CLOSED_EVERY_MS = 50;
const GRACE_MS = 250;

export type TlsFiles = { readonly certFile: string; readonly keyFile: string };

/** A certificate, with those that lead to it, and its key. */
export type TlsIdentity = { readonly cert: Buffer; readonly key: Buffer };

export type ListenerOptions = {
  readonly address: ListenAddress;
  readonly tls: TlsIdentity | null;
  readonly fetch: (request: Request, env: unknown) => Response | Promise<Response>;
  /** How long a client has for a whole request; default 30 s. */
  readonly requestMsMax?: number;
};

export class Listener {
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async open(options: ListenerOptions): Promise<Listener> {
    const requestMsMax = options.requestMsMax ?? REQUEST_MS_MAX;
    const limits = {
      headersTimeout: Math.min(HEADERS_MS_MAX, requestMsMax),
      requestTimeout: requestMsMax,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
      connectionsCheckingInterval: Math.min(CHECKED_EVERY_MS, requestMsMax),
    };
    const server = (
      options.tls === null
        ? createAdaptorServer({ fetch: options.fetch, serverOptions: limits, createServer: createHttp })
        : createAdaptorServer({
            fetch: options.fetch,
            serverOptions: { ...limits, ...options.tls },
            createServer: createHttps,
          })
    ) as Server;
    server.setTimeout(SILENCE_MS_MAX);
    await listen(server, options.address);
    return new Listener(server);
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Takes a renewed certificate for connections from now on. */
  renewTls(identity: TlsIdentity): void {
    (this.#server as Server & { setSecureContext?(options: object): void }).setSecureContext?.(identity);
  }

  /**
   * Lets the requests under way end, and cuts what is left after `drainMs`. For a moment it goes on listening: a
   * connection that looks idle may have a request on its way, and every answer asks its client to close.
   */
  async close(drainMs: number): Promise<void> {
    const cut = setTimeout(() => this.#server.closeAllConnections(), Math.max(drainMs, GRACE_MS));
    await new Promise((resolve) => setTimeout(resolve, Math.min(GRACE_MS, drainMs)));
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
    // A connection whose request has just ended is idle, and its client would keep it open.
    const sweep = setInterval(() => this.#server.closeIdleConnections(), IDLE_CLOSED_EVERY_MS);
    await closed;
    clearInterval(sweep);
    clearTimeout(cut);
  }
}

/** Throws BECALM_ARGUMENT_INVALID if a file cannot be read, or the two do not belong together. */
export function readTls({ certFile, keyFile }: TlsFiles): TlsIdentity {
  try {
    const identity = { cert: readFileSync(certFile), key: readFileSync(keyFile) };
    createSecureContext(identity);
    return identity;
  } catch (cause) {
    const text = `The certificate ${certFile} and its key ${keyFile} cannot be used: ${messageOf(cause)}. Both must be PEM, readable, and belong together.`;
    throw new BecalmError("BECALM_ARGUMENT_INVALID", text, { cause });
  }
}

function listen(server: Server, { host, port }: ListenAddress): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause: NodeJS.ErrnoException) => {
      const where = `${urlHost(host ?? "*")}:${port}`;
      const why = cause.code === "EADDRINUSE" ? "something else listens there" : cause.message;
      const text = `Cannot listen on ${where}: ${why}. Choose another address with --listen, or port 0 for a free one.`;
      reject(new BecalmError("BECALM_ARGUMENT_INVALID", text, { cause, details: { where } }));
    });
    server.listen({ port, ...(host === undefined ? {} : { host }) }, resolve);
  });
}
