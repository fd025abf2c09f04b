/** `becalm detect --checkpoints`: how far each level of each series has looked, and what is open. */
import type { LevelCheckpoint } from "../detection/detection.ts";
import type { Reader } from "../present/reader.ts";
import { textTable } from "../present/text-table.ts";
import { printable } from "../present/text-width.ts";
import { EXIT } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";
import type { Detecting } from "./with-namespace.ts";

export async function tellCheckpoints(
  terminal: Terminal,
  { detection, store, isJson }: Detecting & { readonly isJson: boolean },
): Promise<number> {
  const rows: string[][] = [];
  for (const level of detection.checkpoints()) {
    const { strategyId, itemId, dimensionsMd5, level: severity } = level;
    const checkpoint = await store.getCheckpoint({ strategyId, itemId, dimensionsMd5, level: severity });
    if (isJson) await terminal.json({ ...level, checkpoint });
    else rows.push(rowOf(level, checkpoint, terminal.reader));
  }
  for (const line of textTable(rows, { paint: (cell) => cell })) await terminal.out(line);
  if (!isJson && rows.length === 0)
    terminal.note(terminal.say("No level has looked at a point yet.", "尚无级别检查过数据点。"));
  return EXIT.done;
}

function rowOf(
  { strategyId, level, series, lastTime, openSince }: LevelCheckpoint,
  checkpoint: number | null,
  { times, say }: Reader,
): string[] {
  const at = (time: number | null) => (time === null ? "-" : `${times.seconds(time * 1_000)} ${times.zone}`);
  const ahead = checkpoint !== null && lastTime !== null && checkpoint > lastTime ? say("set ahead", "已前移") : "";
  return [
    strategyId,
    level,
    printable(series),
    at(checkpoint),
    openSince === null ? "" : say(`open since ${at(openSince)}`, `自 ${at(openSince)} 触发`),
    ahead,
  ];
}
