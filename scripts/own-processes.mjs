/** For scripts that measure several processes on a Redis server of their own: the server, and the processes. */
import { fork, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const STARTING_MS = 500;

/** Calls `use` with the URL of a server on loopback that keeps nothing, and ends it. */
export async function withOwnRedis(port, use) {
  const folder = mkdtempSync(join(tmpdir(), "becalm-figures-"));
  const place = ["--port", String(port), "--bind", "127.0.0.1", "--dir", folder];
  const server = spawn("redis-server", [...place, "--save", "", "--appendonly", "no"], { stdio: "ignore" });
  try {
    await delay(STARTING_MS);
    await use(`redis://127.0.0.1:${port}`);
  } finally {
    server.kill();
    rmSync(folder, { recursive: true, force: true });
  }
}

/** This process was forked by `Member`. */
export const isMember = process.env["BECALM_PROCESS"] === "1";

/** Of a member: answers what its parent asks, by the name of the request, one after the other. */
export function answerParent(requests) {
  process.on("message", ({ number, name, given }) => {
    Promise.resolve(requests[name](given)).then(
      (result) => process.send({ number, result: result ?? null }),
      (error) => process.send({ number, error: error.stack }),
    );
  });
  process.on("disconnect", () => process.exit(0));
}

/** A process that runs the same script and is told what to do. */
export class Member {
  isStopped = false;
  #number = 0;
  #waiting = new Map();

  /** `script`: its path. */
  constructor(script) {
    this.child = fork(script, { env: { ...process.env, BECALM_PROCESS: "1" } });
    this.child.on("message", ({ number, result, error }) => {
      const { resolve, reject } = this.#waiting.get(number);
      this.#waiting.delete(number);
      if (error === undefined) resolve(result);
      else reject(new Error(error));
    });
  }

  ask(name, given = {}) {
    this.#number += 1;
    const number = this.#number;
    this.isStopped ||= name === "stop";
    return new Promise((resolve, reject) => {
      this.#waiting.set(number, { resolve, reject });
      this.child.send({ number, name, given });
    });
  }

  get isAlive() {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  async end() {
    if (!this.isAlive) return;
    const exited = once(this.child, "exit");
    if (this.child.connected) this.child.disconnect();
    await exited;
  }
}
