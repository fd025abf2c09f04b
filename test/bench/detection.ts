/** How fast records of a CSV become state events and alerts: parsed, detected and committed to a memory store, on one core. */

import { Detection } from "../../src/detection/detection.ts";
import { csvReader } from "../../src/formats/csv.ts";
import { loadStrategies } from "../../src/index.ts";
import { forgetfulDetectionStore } from "../../src/stores/memory/forgetful-detection-store.ts";
import { HEADER, metricRows, STRATEGIES } from "../support/metric-rows.ts";
import { measured, type Sample } from "./arms/arm.ts";

const HOSTS = 50;
const WARM_UP_COUNT = 50_000;
const PIECE_CHARS = 65_536;

export type DetectionSample = Sample & { readonly alertCount: number; readonly makingMs: number };

/** `count` records, after others that are not measured. The text is made piece by piece; the time that this takes is given apart. */
export async function detection({ count }: { count: number }): Promise<DetectionSample> {
  await detect(WARM_UP_COUNT, 1);
  let outcome = { alertCount: 0, makingMs: 0 };
  const sample = await measured(count, async () => {
    outcome = await detect(count, 2);
  });
  return { ...sample, ...outcome };
}

async function detect(count: number, seed: number): Promise<{ alertCount: number; makingMs: number }> {
  const strategies = loadStrategies(STRATEGIES, { file: "bench" });
  let commits = 0;
  const world = {
    store: forgetfulDetectionStore(),
    now: Date.now,
    commitId: () => {
      commits += 1;
      return String(commits);
    },
    pause: async () => {},
    random: Math.random,
  };
  const detecting = new Detection(world, strategies);
  await detecting.load();
  const reader = csvReader({ file: "bench" });
  const pieces = new Pieces(count, seed);
  const rows = async function* () {
    for (let piece = pieces.next(); piece !== ""; piece = pieces.next()) {
      yield reader.feed(piece);
      // As when a file is read: whoever watches has a turn between two pieces.
      await new Promise(setImmediate);
    }
    yield reader.end();
  };
  await detecting.take("bench", rows());
  await detecting.flush("bench");
  return { alertCount: detecting.alertCount, makingMs: pieces.makingMs };
}

class Pieces {
  makingMs = 0;
  private readonly rows: Iterator<string>;
  private rest = `${HEADER}\n`;

  constructor(count: number, seed: number) {
    this.rows = metricRows({ count, hosts: HOSTS, seed });
  }

  /** The next piece of the file; empty at its end. */
  next(): string {
    const startedAtMs = performance.now();
    let piece = this.rest;
    this.rest = "";
    while (piece.length < PIECE_CHARS) {
      const { value, done } = this.rows.next();
      if (done === true) break;
      piece += `${value}\n`;
    }
    // Flat, as what a file gives.
    piece = Buffer.from(piece).toString();
    this.makingMs += performance.now() - startedAtMs;
    return piece;
  }
}
