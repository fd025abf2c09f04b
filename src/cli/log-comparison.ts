/**
 * Two sets of audit entries, those of a store and those of log files, compared in bounded memory: each entry goes into
 * one of many files by its instance, and the files are then compared one by one.
 */
import { appendFile, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sha256 } from "../model/digest.ts";

export type Side = "log" | "store";

export type ComparedEntry = {
  readonly instance: string;
  readonly version: number;
  readonly hash: string;
  readonly atMs: number;
  /** Where a person finds it: `becalm.log:17`. */
  readonly place: string;
};

/** `isKnown`: the other side has other entries of the instance. */
export type Difference = { readonly missingIn: Side; readonly entry: ComparedEntry; readonly isKnown: boolean };

const BUCKET_COUNT = 128;
/** Of one bucket and side, before it is written. */
const PENDING_CHARS_MAX = 64 * 1_024;

export class LogComparison {
  readonly #folder: string;
  readonly #pending = new Map<string, string>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async open(): Promise<LogComparison> {
    return new LogComparison(await mkdtemp(join(tmpdir(), "becalm-compare-")));
  }

  async add(side: Side, { instance, version, hash, atMs, place }: ComparedEntry): Promise<void> {
    const name = `${bucketOf(instance)}-${side}`;
    const pending = `${this.#pending.get(name) ?? ""}${JSON.stringify([instance, version, hash, atMs, place])}\n`;
    if (pending.length < PENDING_CHARS_MAX) {
      this.#pending.set(name, pending);
      return;
    }
    this.#pending.delete(name);
    await appendFile(join(this.#folder, name), pending);
  }

  /** What one side has and the other has not, an instance's entries together. */
  async *differences(): AsyncGenerator<Difference> {
    for (let bucket = 0; bucket < BUCKET_COUNT; bucket += 1) {
      const [log, store] = [await this.#read(bucket, "log"), await this.#read(bucket, "store")];
      yield* missing(store, { from: log, side: "log" });
      yield* missing(log, { from: store, side: "store" });
    }
  }

  close(): Promise<void> {
    return rm(this.#folder, { recursive: true, force: true });
  }

  async #read(bucket: number, side: Side): Promise<ComparedEntry[]> {
    const name = `${bucket}-${side}`;
    const written = await readFile(join(this.#folder, name), "utf8").catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    });
    const lines = `${written}${this.#pending.get(name) ?? ""}`.split("\n");
    return lines.filter((line) => line !== "").map(parsed);
  }
}

/** Log lines may repeat: a file may be given twice, or a copy of it. */
function* missing(
  entries: readonly ComparedEntry[],
  { from, side }: { from: readonly ComparedEntry[]; side: Side },
): Generator<Difference> {
  const there = new Set(from.map(keyOf));
  const instances = new Set(from.map(({ instance }) => instance));
  const seen = new Set<string>();
  for (const entry of entries.toSorted(byInstance)) {
    const key = keyOf(entry);
    if (there.has(key) || seen.has(key)) continue;
    seen.add(key);
    yield { missingIn: side, entry, isKnown: instances.has(entry.instance) };
  }
}

function keyOf({ instance, hash }: ComparedEntry): string {
  return `${instance} ${hash}`;
}

function byInstance(left: ComparedEntry, right: ComparedEntry): number {
  if (left.instance !== right.instance) return left.instance < right.instance ? -1 : 1;
  return left.version - right.version;
}

function parsed(line: string): ComparedEntry {
  const [instance, version, hash, atMs, place] = JSON.parse(line) as [string, number, string, number, string];
  return { instance, version, hash, atMs, place };
}

/** Even, whatever the ids have in common. */
function bucketOf(instance: string): number {
  return Number.parseInt(sha256(instance, "hex").slice(0, 8), 16) % BUCKET_COUNT;
}
