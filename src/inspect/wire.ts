import type { WebSocket } from "ws";
import type { Wire } from "./viewer.ts";

/** Below this a connection is asked for more again. */
const LOW_WATER_BYTES = 256 * 1024;
const POLLED_EVERY_MS = 20;

/**
 * A WebSocket tells how much it holds, not when that has left: it is looked at again and again while somebody waits.
 */
export function wireOf(socket: WebSocket): Wire {
  const isOver = () => socket.readyState === socket.CLOSING || socket.readyState === socket.CLOSED;
  const drained = () =>
    new Promise<void>((resolve) => {
      const look = (): void => {
        if (isOver() || socket.bufferedAmount <= LOW_WATER_BYTES) resolve();
        else setTimeout(look, POLLED_EVERY_MS).unref();
      };
      look();
    });
  return { waitingBytes: () => socket.bufferedAmount, drained };
}
