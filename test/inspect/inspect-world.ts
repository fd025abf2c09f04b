/** Receivers of the inspector's protocol, and engines that they watch. */
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createWebSocketReceiver, type StatelyInspectionEvent } from "@statelyai/inspect";
import { onTestFinished } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import {
  type AlertInput,
  createEngine,
  createInspectServer,
  type Engine,
  type EngineOptions,
  type InspectServer,
  type InspectServerOptions,
} from "../../src/index.ts";

export const START_MS = 1_795_413_600_000;
const UNTIL_MS_MAX = 90_000;

export type Frame = StatelyInspectionEvent & Record<string, unknown>;

export type Received = {
  readonly frames: readonly Frame[];
  /** Resolves as soon as the frames so far satisfy `isTrue`; looked at with every frame. */
  until(what: string, isTrue: (frames: readonly Frame[]) => boolean): Promise<void>;
  count(count: number): Promise<void>;
};

/** The package's own receiver. */
export function receive(socketUrl: string): Received {
  const frames: Frame[] = [];
  const looks = new Set<() => void>();
  createWebSocketReceiver({ server: socketUrl }).subscribe((frame) => {
    frames.push(frame as Frame);
    for (const look of looks) look();
  });
  const until: Received["until"] = (what, isTrue) =>
    new Promise((resolve, reject) => {
      const late = setTimeout(
        () => reject(new Error(`this never came about: ${what} (${frames.length} frames)`)),
        UNTIL_MS_MAX,
      );
      const look = (): void => {
        if (!isTrue(frames)) return;
        clearTimeout(late);
        looks.delete(look);
        resolve();
      };
      looks.add(look);
      look();
    });
  return { frames, until, count: (count) => until(`${count} frames`, ({ length }) => length >= count) };
}

/** A server that hands on what any of its clients says to all others, as the package's relay does. */
export async function startRelay(): Promise<{ url: string; clientCount: (count: number) => Promise<void> }> {
  const relay = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await once(relay, "listening");
  relay.on("connection", (client) => {
    client.on("message", (data) => {
      for (const other of relay.clients) if (other !== client) other.send((data as Buffer).toString());
    });
  });
  onTestFinished(() => {
    for (const client of relay.clients) client.terminate();
    relay.close();
  });
  const clientCount = async (count: number) => {
    while (relay.clients.size < count) await once(relay, "connection");
  };
  return { url: `ws://127.0.0.1:${(relay.address() as AddressInfo).port}`, clientCount };
}

export async function startServer(options: InspectServerOptions = {}): Promise<InspectServer> {
  const server = await createInspectServer(options);
  onTestFinished(() => server.close());
  return server;
}

export async function startEngine(
  policies: readonly object[],
  options: Omit<EngineOptions, "policies">,
): Promise<Engine> {
  const engine = createEngine({ policies: { policies } as EngineOptions["policies"], drainMs: 0, ...options });
  onTestFinished(() => engine.stop());
  await engine.start();
  return engine;
}

/** Resolves when every viewer was told everything that there is. */
export async function caughtUp(server: InspectServer): Promise<void> {
  while (!server.load.isUpToDate || server.load.heldBytes > 0) await new Promise((resolve) => setImmediate(resolve));
}

export function logPolicy(more: object = {}): object {
  return { name: "log", match: [], action: { log: {} }, ...more };
}

export function alertOf(number: number, labels: Record<string, string> = {}): AlertInput {
  return { startsAt: START_MS, labels: { alertname: "DiskFull", instance: `host-${number}`, ...labels } } as AlertInput;
}

/** How the server answers an attempt to connect: 101, or the status of the refusal. */
export async function statusOf(socketUrl: string, headers: Record<string, string> = {}): Promise<number> {
  const socket = new WebSocket(socketUrl, { headers });
  socket.on("error", () => {});
  return new Promise((resolve) => {
    socket.once("unexpected-response", (_request, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    socket.once("open", () => {
      socket.terminate();
      resolve(101);
    });
  });
}

/** Frames of one actor without ids and times: what must be equal whoever sent them. */
export function comparable(frames: readonly Frame[]): Record<string, unknown>[] {
  return frames.map(({ sessionId: _s, rootId: _r, id: _i, createdAt: _c, parentId: _p, sourceId: _o, ...rest }) => ({
    ...rest,
    definition: typeof rest["definition"] === "string" ? JSON.parse(rest["definition"]) : undefined,
  }));
}
