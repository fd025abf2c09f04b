/** `becalm replay`: a history, stepped through the machine again. */
import { BecalmError } from "../model/errors.ts";
import { isoTime } from "../present/time-text.ts";
import { replay } from "../simulate/replay.ts";
import { EXIT } from "./exit-codes.ts";
import { checkedSteps } from "./explain-text.ts";
import { type StoreOptions, withReading } from "./open-session.ts";
import type { Terminal } from "./terminal.ts";
import { checkTrail } from "./trail.ts";

export type ReplayOptions = StoreOptions & { readonly id: string; readonly json: boolean };

export async function replayCommand(terminal: Terminal, options: ReplayOptions): Promise<number> {
  const { id, json } = options;
  return withReading(options, "replay", async (session) => {
    const { fault } = await checkTrail(session, id);
    const { steps, divergence } = replay(await session.history(id));
    if (json) {
      for (const { entry, snapshot, checkpoint, isEqual } of steps) {
        await terminal.json({
          version: entry.version,
          at: isoTime(entry.atMs),
          event: entry.event.type,
          path: entry.path,
          state: snapshot.state,
          checkpoint,
          recorded: entry.checkpoint,
          equal: isEqual,
        });
      }
      await terminal.json({ summary: { id, steps: steps.length, equal: divergence === null, chain: fault === null } });
    } else {
      for (const line of checkedSteps(steps, terminal.outColors)) await terminal.out(line);
    }
    if (fault !== null) throw broken(id, `line ${fault.line} of its history ${fault.what}`);
    if (divergence !== null)
      throw broken(
        id,
        `entry ${divergence.entry.version} (${divergence.entry.event.type}) leads to another checkpoint than it says`,
      );
    if (!json)
      await terminal.out(
        terminal.outColors.green(
          `${steps.length} ${steps.length === 1 ? "step" : "steps"} replayed: every checkpoint is the same, and the chain of hashes holds.`,
        ),
      );
    return EXIT.done;
  });
}

function broken(id: string, what: string): BecalmError {
  return new BecalmError(
    "BECALM_HISTORY_BROKEN",
    `The history of ${id} does not hold: ${what}. Keep the store as it is until you know who wrote to it.`,
    {
      details: { id },
    },
  );
}
