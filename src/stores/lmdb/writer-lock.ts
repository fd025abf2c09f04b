/**
 * One process writes to an environment. The writer listens on a socket in the environment's folder and has written the
 * socket's name into the environment; whoever can connect to it knows that the writer lives. The kernel closes the
 * socket with the process, however it dies, so a killed writer is recognised at once, also across containers, where
 * process ids say nothing.
 *
 * W1: the name is replaced in a transaction of LMDB, and only if it still is the one that was found dead. Of two
 * processes that find the same dead writer one wins. W2: whatever a connection fails with but "nobody listens" and "no
 * such socket" counts as alive: two writers are worse than none.
 */
import { createHash, randomBytes } from "node:crypto";
import { closeSync, openSync, rmSync } from "node:fs";
import { connect, createServer, type Server } from "node:net";
import { hostname } from "node:os";
import { basename, join, relative } from "node:path";
import { BecalmError } from "../../model/errors.ts";

/**
 * Where the name of the writer is kept. `replace` writes `next` if the present value is `previous`; it is one
 * transaction.
 */
export type WriterRecord = {
  read(): string | undefined;
  replace(previous: string | undefined, next: string): boolean;
};

type Writer = { readonly socket: string; readonly pid: number; readonly host: string; readonly since: string };

const DEAD = ["ECONNREFUSED", "ENOENT"];
/** Of a socket's path; the kernels' limits are 104 and 108. */
const PATH_BYTES_MAX = 100;

/** Makes this process the writer and gives what ends that. `path`: for messages. @throws BECALM_STORE_BUSY */
export async function takeWriterLock(
  record: WriterRecord,
  { folder, path }: { folder: string; path: string },
): Promise<() => Promise<void>> {
  for (;;) {
    const previous = record.read();
    const writer = previous === undefined ? null : (JSON.parse(previous) as Writer);
    if (writer !== null && (await isAlive(folder, writer.socket))) throw busy(path, writer);
    const socket = `writer-${randomBytes(6).toString("hex")}.sock`;
    const close = await listen(folder, socket);
    const own: Writer = { socket, pid: process.pid, host: hostname(), since: new Date().toISOString() };
    if (record.replace(previous, JSON.stringify(own))) {
      if (writer !== null && !isPipes()) rmSync(join(folder, writer.socket), { force: true });
      return close;
    }
    await close();
  }
}

function busy(path: string, { pid, host, since }: Writer): BecalmError {
  return new BecalmError(
    "BECALM_STORE_BUSY",
    `Process ${pid} on ${host} has been writing to the store ${path} since ${since}, and one process writes to an lmdb store. ` +
      "Stop that process or use another store; reading commands (ls, show, audit verify, backup) work beside it. " +
      "If it is `becalm serve`, --server URL answers through it.",
    { details: { path, pid, host, since } },
  );
}

function isPipes(): boolean {
  return process.platform === "win32";
}

/** A socket's path that fits into the kernel's limit; `end` must be called when it is no longer needed. */
function reachable(folder: string, socket: string): { readonly path: string; readonly end: () => void } {
  const end = (): void => {};
  if (isPipes()) {
    const where = createHash("sha256").update(folder).digest("hex").slice(0, 16);
    return { path: `\\\\.\\pipe\\becalm-${where}-${socket}`, end };
  }
  const path = join(folder, socket);
  const near = relative(process.cwd(), path);
  for (const candidate of [path, near])
    if (Buffer.byteLength(candidate) <= PATH_BYTES_MAX) return { path: candidate, end };
  if (process.platform === "linux") {
    const descriptor = openSync(folder, "r");
    return { path: `/proc/self/fd/${descriptor}/${basename(path)}`, end: () => closeSync(descriptor) };
  }
  throw new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `The path ${folder} is too long for the socket of an lmdb store's writer. Use a shorter path, or start in a folder near it.`,
  );
}

async function isAlive(folder: string, socket: string): Promise<boolean> {
  const { path, end } = reachable(folder, socket);
  try {
    return await new Promise<boolean>((resolve) => {
      const connection = connect(path);
      connection.once("connect", () => {
        connection.destroy();
        resolve(true);
      });
      connection.once("error", ({ code }: NodeJS.ErrnoException) => resolve(!DEAD.includes(code ?? "")));
    });
  } finally {
    end();
  }
}

/** Never keeps the process alive. */
async function listen(folder: string, socket: string): Promise<() => Promise<void>> {
  const { path, end } = reachable(folder, socket);
  const server: Server = createServer((connection) => connection.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, () => {
      server.off("error", reject);
      resolve();
    });
  });
  server.unref();
  return () =>
    new Promise((resolve) =>
      server.close(() => {
        end();
        resolve();
      }),
    );
}
