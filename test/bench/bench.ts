/** One run of the benchmarks: its processes, its servers and its sizes. Nothing of it is left when it has ended. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startRedis } from "../support/redis-server.ts";
import { BenchProcess } from "./bench-process.ts";
import type { Profile } from "./figures.ts";

/** No rewriting of the append-only file while something is measured. */
const SERVER_ARGS: Readonly<Record<Profile, readonly string[]>> = {
  none: [],
  everysec: ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"],
  always: ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"],
};

export class Bench {
  readonly isQuick: boolean;
  readonly rounds: number;
  /** Log lines of all arms; each run has a directory of its own. */
  readonly logPath: string;
  private readonly dir = mkdtempSync(join(tmpdir(), "becalm-bench-"));
  private readonly processes = new Map<string, BenchProcess>();

  constructor(options: { isQuick: boolean; rounds: number }) {
    this.isQuick = options.isQuick;
    this.rounds = options.rounds;
    this.logPath = join(this.dir, "becalm.log");
  }

  size([full, quick]: readonly [full: number, quick: number]): number {
    return this.isQuick ? quick : full;
  }

  /** The process that this name has for the whole run. */
  processOf(name: string): BenchProcess {
    const found = this.processes.get(name) ?? new BenchProcess();
    this.processes.set(name, found);
    return found;
  }

  async inOwnProcess<Result>(use: (process: BenchProcess) => Promise<Result>): Promise<Result> {
    const own = new BenchProcess();
    try {
      return await use(own);
    } finally {
      await own.end();
    }
  }

  /** A fresh server, so that no sample pays for what an earlier one left. */
  async withServer<Result>(profile: Profile, use: (url: string) => Promise<Result>): Promise<Result> {
    rmSync(this.logPath, { force: true });
    const server = await startRedis({ args: SERVER_ARGS[profile] });
    try {
      return await use(server.url);
    } finally {
      await server.stop();
    }
  }

  /** A fresh folder, gone afterwards. */
  async withFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
    rmSync(this.logPath, { force: true });
    const folder = mkdtempSync(join(this.dir, "store-"));
    try {
      return await use(folder);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }

  async end(): Promise<void> {
    for (const process of this.processes.values()) await process.end();
    rmSync(this.dir, { recursive: true, force: true });
  }
}
