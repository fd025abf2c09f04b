/**
 * The inspector's endpoint: whoever connects to its WebSocket with the token gets the protocol of the Stately
 * inspector.
 *
 * Owns: the connections and the page. Does not own: what is watched (it is told by feeds), the engine.
 * I1 it listens on the loopback address only. I2 nothing is sent to a page of an origin that was not allowed, or
 * without the token.
 * I3 a field that is to be redacted is in no frame, definitions included. I4 a viewer costs a bounded number of bytes
 * (viewer.ts, V1).
 */
import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Duplex } from "node:stream";
import type { WebSocket, WebSocketServer } from "ws";
import { BecalmError } from "../model/errors.ts";
import { ANYTHING, type Expected, TEXT, validateOptions, wholeNumber } from "../runtime/validate-options.ts";
import { type AccessRules, originOf, refusal } from "./access.ts";
import type { InspectedCommit, InspectFeed, InspectSource, InspectTarget, PendingCommit } from "./inspected.ts";
import { Pacer } from "./pacer.ts";
import { pageAnswer } from "./page-files.ts";
import { type Frames, frames } from "./protocol.ts";
import { Recorded } from "./recorded.ts";
import { type Redact, redaction } from "./redaction.ts";
import type { Listener } from "./telling.ts";
import { Viewer } from "./viewer.ts";
import { wireOf } from "./wire.ts";

export const INSPECTOR_URL_DEFAULT = "https://stately.ai/inspect";

export type InspectServerOptions = {
  /** Default: any free one; see `url`. */
  readonly port?: number;
  /** Keys and ends of paths that are kept off the wire: `token`, `result.body`. See docs/inspecting.md. */
  readonly redact?: readonly string[];
  /** Origins whose pages may connect, besides the server's own page and the inspector's. */
  readonly origins?: readonly string[];
  /** The page that ours embeds. Default https://stately.ai/inspect; null embeds none: nothing leaves the machine. */
  readonly inspectorUrl?: string | null;
  /** Default: a random one. */
  readonly token?: string;
};

const OPTIONS: Readonly<Record<keyof InspectServerOptions, Expected>> = {
  port: wholeNumber(0, 65_535),
  redact: ANYTHING,
  origins: ANYTHING,
  inspectorUrl: ANYTHING,
  token: TEXT,
};

/** What the page's buttons ask of a playback. */
export type PlayCommand =
  | { readonly command: "play" | "pause" | "restart" }
  | { readonly command: "speed"; readonly speed: number };

/** Where a playback is, for the page. */
export type PlayState = {
  readonly isPaused: boolean;
  readonly told: number;
  readonly total: number;
  readonly speed: number;
  readonly atMs: number | null;
};

export interface InspectServer extends InspectTarget {
  /** The page, token included. */
  readonly url: string;
  /** For receivers of the protocol, token included. */
  readonly socketUrl: string;
  readonly port: number;
  readonly viewerCount: number;
  /** Bytes that wait for viewers, and whether each viewer has received everything. */
  readonly load: { readonly heldBytes: number; readonly isUpToDate: boolean };
  /** Calls `fn` when the first viewer connects, at once if there is one. */
  onFirstViewer(fn: () => void): void;
  onPlayCommand(fn: (command: PlayCommand) => void): void;
  announce(state: PlayState): void;
  close(): Promise<void>;
}

const VIEWER_COUNT_MAX = 32;
const MESSAGE_BYTES_MAX = 1_024;
const TOKEN_BYTES = 18;

/**
 * Starts an inspector endpoint on 127.0.0.1. Give it to `createEngine({ inspect })` or `replay(history, { inspect })`,
 * open its `url`.
 * @throws BECALM_ARGUMENT_INVALID when the port is taken or an option is wrong.
 */
export async function createInspectServer(options: InspectServerOptions = {}): Promise<InspectServer> {
  validateOptions("createInspectServer", options, OPTIONS);
  const { WebSocketServer } = await import("ws");
  const sockets = new WebSocketServer({ noServer: true, maxPayload: MESSAGE_BYTES_MAX, perMessageDeflate: false });
  const server = new LoopbackInspectServer(options, sockets);
  await server.listen(options.port ?? 0);
  return server;
}

class LoopbackInspectServer implements InspectServer {
  /** Stays when the server is closed. */
  port = 0;
  readonly #http: Server;
  readonly #sockets: WebSocketServer;
  readonly #rules: AccessRules;
  readonly #redact: Redact;
  readonly #frames: Frames;
  readonly #inspectorUrl: string | null;
  readonly #pacer = new Pacer();
  readonly #recorded = new Recorded();
  readonly #sources = new Set<InspectSource>([this.#recorded]);
  readonly #viewers = new Set<Viewer>();
  readonly #pages = new Set<WebSocket>();
  #firstViewer: (() => void)[] = [];
  #playCommand: (command: PlayCommand) => void = () => {};
  #lastState: PlayState | null = null;

  constructor(options: InspectServerOptions, sockets: WebSocketServer) {
    this.#inspectorUrl = options.inspectorUrl === undefined ? INSPECTOR_URL_DEFAULT : options.inspectorUrl;
    const inspectorOrigins = this.#inspectorUrl === null ? [] : [originOf(this.#inspectorUrl)];
    const token = options.token ?? randomBytes(TOKEN_BYTES).toString("base64url");
    this.#rules = { token, origins: [...inspectorOrigins, ...(options.origins ?? []).map(originOf)] };
    this.#redact = redaction(options.redact ?? []);
    this.#frames = frames(this.#redact);
    this.#sockets = sockets;
    this.#http = createServer((request, response) => this.#answer(request, response));
    this.#http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) =>
      this.#upgrade(request, socket, head),
    );
  }

  async listen(port: number): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const fail = (cause: Error) =>
        reject(
          new BecalmError(
            "BECALM_ARGUMENT_INVALID",
            `The inspector cannot listen on port ${port} of 127.0.0.1: ${cause.message}. Choose another port, or 0 for a free one.`,
            { cause },
          ),
        );
      this.#http.once("error", fail);
      this.#http.listen({ port, host: "127.0.0.1" }, () => {
        this.#http.off("error", fail);
        this.port = (this.#http.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}/?token=${encodeURIComponent(this.#rules.token)}`;
  }

  get socketUrl(): string {
    return this.url.replace(/^http/, "ws");
  }

  get viewerCount(): number {
    return this.#viewers.size;
  }

  get isWatched(): boolean {
    return this.#viewers.size > 0;
  }

  get load(): InspectServer["load"] {
    const viewers = [...this.#viewers];
    return {
      heldBytes: viewers.reduce((sum, viewer) => sum + viewer.heldBytes, 0),
      isUpToDate: viewers.every((viewer) => viewer.isUpToDate),
    };
  }

  attach(source: InspectSource): InspectFeed {
    this.#sources.add(source);
    for (const viewer of this.#viewers) viewer.resync();
    return { committed: (commit) => this.#offer(commit), detach: () => void this.#sources.delete(source) };
  }

  replayed(commits: readonly InspectedCommit[]): void {
    for (const commit of commits) {
      this.#recorded.record(commit);
      this.#offer({ bytes: JSON.stringify(commit).length, read: () => commit });
    }
  }

  onFirstViewer(fn: () => void): void {
    if (this.isWatched) fn();
    else this.#firstViewer.push(fn);
  }

  onPlayCommand(fn: (command: PlayCommand) => void): void {
    this.#playCommand = fn;
  }

  announce(state: PlayState): void {
    this.#lastState = state;
    const text = JSON.stringify({ type: "becalm.playback", ...state });
    for (const page of this.#pages) page.send(text);
  }

  async close(): Promise<void> {
    for (const viewer of this.#viewers) viewer.close();
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    this.#http.closeAllConnections();
    if (this.#http.listening) await new Promise((resolve) => this.#http.close(resolve));
  }

  #offer(commit: PendingCommit): void {
    if (this.#viewers.size === 0) return;
    this.#pacer.noticeWork();
    for (const viewer of this.#viewers) viewer.offer(commit);
  }

  #check(request: IncomingMessage, url: URL) {
    const { host, origin } = request.headers;
    return refusal(this.#rules, { host, origin, token: url.searchParams.get("token"), port: this.port });
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const { status, headers, body } = pageAnswer({
      method: request.method ?? "GET",
      url,
      refused: this.#check(request, url),
      inspectorUrl: this.#inspectorUrl,
      redact: this.#redact,
    });
    response.writeHead(status, headers);
    response.end(body);
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    socket.on("error", () => socket.destroy());
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const refused =
      this.#viewers.size >= VIEWER_COUNT_MAX
        ? { status: 503, why: `${VIEWER_COUNT_MAX} viewers are connected already. Close one.` }
        : this.#check(request, url);
    if (refused !== null) {
      socket.end(
        `HTTP/1.1 ${refused.status} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(refused.why)}\r\n\r\n${refused.why}`,
      );
      return;
    }
    this.#sockets.handleUpgrade(request, socket, head, (connected) =>
      this.#welcome(connected, url.searchParams.get("role") === "page"),
    );
  }

  #welcome(socket: WebSocket, isPage: boolean): void {
    const viewer = new Viewer({
      wire: wireOf(socket),
      pacer: this.#pacer,
      listener: listenerOf(socket, this.#frames, isPage),
      sources: () => [...this.#sources],
    });
    this.#viewers.add(viewer);
    if (isPage) this.#welcomePage(socket);
    socket.on("error", () => socket.terminate());
    socket.on("close", () => {
      viewer.close();
      this.#viewers.delete(viewer);
      this.#pages.delete(socket);
    });
    // A viewer's loop catches what sources throw; anything else is a mistake of the program and ends this viewer only.
    viewer.run().catch(() => socket.terminate());
    for (const fn of this.#firstViewer.splice(0)) fn();
  }

  #welcomePage(socket: WebSocket): void {
    this.#pages.add(socket);
    if (this.#lastState !== null) this.announce(this.#lastState);
    socket.on("message", (data) => {
      const command = commandOf((data as Buffer).toString());
      if (command !== null) this.#playCommand(command);
    });
  }
}

/** The page learns a little more than the protocol says: which policy an instance belongs to, and which way it took. */
function listenerOf(socket: WebSocket, frames: Frames, isPage: boolean): Listener {
  const send = (text: string) => socket.send(text);
  return {
    actor: (address, snapshot, { atMs, policy, kind }) => {
      if (isPage) send(JSON.stringify({ type: "becalm.about", sessionId: address.sessionId, policy, kind }));
      send(frames.actor(address, snapshot, atMs));
    },
    event: (address, event, how) => send(frames.event(address, event, how)),
    snapshot: (address, snapshot, how) => send(frames.snapshot(address, snapshot, how)),
    ...(isPage
      ? {
          visits: ({ sessionId }, visits) => send(JSON.stringify({ type: "becalm.visits", sessionId, visits })),
        }
      : {}),
  };
}

function commandOf(text: string): PlayCommand | null {
  try {
    const { command, speed } = JSON.parse(text) as { command?: unknown; speed?: unknown };
    if (command === "play" || command === "pause" || command === "restart") return { command };
    return command === "speed" && typeof speed === "number" && speed > 0 ? { command, speed } : null;
  } catch {
    return null;
  }
}
