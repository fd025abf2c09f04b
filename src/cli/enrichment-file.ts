/**
 * Labels from a file: a CSV whose first column is a dimension and whose other columns become labels of its alerts. It
 * is read again when it changes; a file that cannot be read leaves what was read before.
 */
import { stat } from "node:fs/promises";
import type { SeriesFacts } from "../detection/core/detected-alert.ts";
import { labelText } from "../detection/core/detected-alert.ts";
import { csvReader } from "../formats/csv.ts";
import { LABEL_VALUE_BYTES_MAX } from "../model/limits.ts";
import { exceedsUtf8Bytes } from "../model/utf8.ts";
import { usedWrongly } from "./exit-codes.ts";
import { readText } from "./read-text.ts";

type Table = { readonly key: string; readonly rows: ReadonlyMap<string, Readonly<Record<string, string>>> };

const NO_LABELS: Readonly<Record<string, string>> = {};
const LOOK_EVERY_MS = 1_000;

export class EnrichmentFile {
  readonly #path: string;
  #table: Table;
  #changedAtMs: number;
  #lookedAtMs = Date.now();

  private constructor(path: string, table: Table, changedAtMs: number) {
    this.#path = path;
    this.#table = table;
    this.#changedAtMs = changedAtMs;
  }

  static async open(path: string): Promise<EnrichmentFile> {
    const table = tableOf(await readText(path), path);
    return new EnrichmentFile(path, table, (await stat(path)).mtimeMs);
  }

  /** The labels of a series; a function of its own, so that it can be handed on. */
  readonly labelsOf = ({ dimensions }: SeriesFacts): Readonly<Record<string, string>> => {
    const { key, rows } = this.#table;
    return rows.get(labelText(dimensions[key])) ?? NO_LABELS;
  };

  async reloadIfChanged(): Promise<void> {
    if (Date.now() - this.#lookedAtMs < LOOK_EVERY_MS) return;
    this.#lookedAtMs = Date.now();
    try {
      const { mtimeMs } = await stat(this.#path);
      if (mtimeMs === this.#changedAtMs) return;
      this.#table = tableOf(await readText(this.#path), this.#path);
      this.#changedAtMs = mtimeMs;
    } catch {
      // Somebody writes it just now, or it is gone: what was read stays.
    }
  }
}

function tableOf(text: string, path: string): Table {
  const reader = csvReader({ file: path });
  const rows = new Map<string, Readonly<Record<string, string>>>();
  let key: string | null = null;
  for (const row of [...reader.feed(text), ...reader.end()]) {
    if ("rejected" in row) throw usedWrongly(`${path}:${row.line}: ${row.text}. Correct the file of --enrich.`);
    const [[name, value] = ["", ""], ...labels] = Object.entries(row.record as Record<string, string>);
    key ??= name;
    const usable = labels.filter(([, label]) => label !== "" && !exceedsUtf8Bytes(label, LABEL_VALUE_BYTES_MAX));
    rows.set(value, Object.fromEntries(usable));
  }
  return { key: key ?? "", rows };
}
