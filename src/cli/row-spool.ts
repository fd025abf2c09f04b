/**
 * Rows in a file without a name: it is removed when it has been opened, so that nothing is left behind however the
 * process ends.
 */
import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { RowStore } from "../simulate/row-store.ts";

const WRITTEN_CHARS = 1 << 18;

export class RowSpool<Row> implements RowStore<Row> {
  readonly #file: number;
  /** Where rows begin; behind the last one stands where the file ends. */
  readonly #offsets: number[] = [0];
  #pending: string[] = [];
  #pendingBytes = 0;
  #writtenBytes = 0;

  constructor() {
    const folder = mkdtempSync(join(tmpdir(), "becalm-rows-"));
    this.#file = openSync(join(folder, "rows"), "wx+");
    rmSync(folder, { recursive: true });
  }

  add(row: Row): number {
    const text = JSON.stringify(row);
    const bytes = Buffer.byteLength(text);
    this.#pending.push(text);
    this.#pendingBytes += bytes;
    const slot = this.#offsets.push((this.#offsets.at(-1) as number) + bytes) - 2;
    if (this.#pendingBytes >= WRITTEN_CHARS) this.#write();
    return slot;
  }

  get(slot: number): Row {
    const [from, to] = [this.#offsets[slot] as number, this.#offsets[slot + 1] as number];
    if (to > this.#writtenBytes) this.#write();
    const bytes = Buffer.allocUnsafe(to - from);
    readSync(this.#file, bytes, 0, bytes.length, from);
    return JSON.parse(bytes.toString("utf8")) as Row;
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(): void {
    const bytes = Buffer.from(this.#pending.join(""));
    for (let done = 0; done < bytes.length; )
      done += writeSync(this.#file, bytes, done, bytes.length - done, this.#writtenBytes + done);
    this.#writtenBytes += bytes.length;
    this.#pending = [];
    this.#pendingBytes = 0;
  }
}
