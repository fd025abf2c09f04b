/** `becalm replay`: histories, stepped through the machine again. */
import type { EntryBody, History } from "../instance/audit-types.ts";
import { checkpointBody, type TrailFault, trailFault } from "../instance/trail.ts";
import { BecalmError, messageOf } from "../model/errors.ts";
import { count } from "../present/text-table.ts";
import { isoTime } from "../present/time-text.ts";
import { bundledTrail } from "../simulate/bundle.ts";
import { Replayer, replay, type Trail } from "../simulate/replay.ts";
import { allIds } from "./audit.ts";
import { readBundle } from "./bundle-file.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { checkedSteps } from "./explain-text.ts";
import { loadMachine } from "./machine-file.ts";
import { otherWays } from "./other-ways.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { checkTrail } from "./trail.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type ReplayOptions = StoreOptions & {
  readonly id?: string;
  readonly all: boolean;
  readonly file?: string;
  /** Steps the histories through this statechart, and says which go another way. */
  readonly machine?: string;
  readonly json: boolean;
};

export async function replayCommand(terminal: Terminal, options: ReplayOptions): Promise<number> {
  const { id, all, file } = options;
  if (file !== undefined && all) throw usedWrongly("A bundle is replayed whole: leave --all out.");
  if (all && id !== undefined) throw usedWrongly("Give an id or --all, not both.");
  const machine = options.machine === undefined ? null : await loadMachine(terminal, options.machine);
  const many = (histories: AsyncGenerator<Attempted>) =>
    machine === null ? replayMany(terminal, options, histories) : otherWays(terminal, options, { histories, machine });
  if (file !== undefined) return many(bundled(file, id));
  if (all || (machine !== null && id !== undefined))
    return withReading(options, "replay", (reader, named) =>
      many(named.id === undefined ? stored(reader) : oneStored(reader, named.id)),
    );
  if (id === undefined) throw usedWrongly("Say what to replay: an id, --all, or --file BUNDLE.");
  return withReading({ ...options, id }, "replay", async (instances, named) => {
    const { fault } = await checkTrail(instances, named.id);
    return replayOne(terminal, options, { id: named.id, fault, history: await instances.history(named.id) });
  });
}

type Replayable = { readonly id: string; readonly fault: TrailFault | null; readonly history: History };

async function replayOne(
  terminal: Terminal,
  { json }: ReplayOptions,
  { id, fault, history }: Replayable,
): Promise<number> {
  const { steps, divergence } = replay(history);
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
    for (const line of checkedSteps(steps, { colors: terminal.outColors, reader: terminal.reader }))
      await terminal.out(line);
  }
  const what = whatIsWrong(fault, divergence?.entry ?? null);
  if (what !== null) throw broken(id, what);
  if (!json)
    await terminal.out(
      terminal.outColors.green(
        terminal.say(
          `${count(steps.length, "step", "steps")} replayed: every checkpoint is the same, and the chain of hashes holds.`,
          `已重放 ${steps.length} 步：每个检查点都相同，哈希链完整。`,
        ),
      ),
    );
  return EXIT.done;
}

type Attempted =
  | { readonly id: string; readonly fault: TrailFault | null; readonly history: Trail }
  | { readonly id: string; readonly error: BecalmError };
type InstanceReader = Parameters<typeof checkTrail>[0];

async function* stored(instances: InstanceReader): AsyncGenerator<Attempted> {
  for await (const ids of allIds(instances)) {
    for (const id of ids) {
      try {
        const { fault } = await checkTrail(instances, id);
        yield { id, fault, history: await instances.history(id) };
      } catch (error) {
        if (!(error instanceof BecalmError)) throw error;
        // Its retention ended meanwhile.
        if (error.code !== "BECALM_NOT_FOUND") yield { id, error };
      }
    }
  }
}

async function* oneStored(instances: InstanceReader, id: string): AsyncGenerator<Attempted> {
  const { fault } = await checkTrail(instances, id);
  yield { id, fault, history: await instances.history(id) };
}

async function* bundled(file: string, id: string | undefined): AsyncGenerator<Attempted> {
  let isFound = false;
  for await (const { instance, policies } of readBundle(file)) {
    if (id !== undefined && instance.id !== id) continue;
    isFound = true;
    const fault = trailFault(instance.lines, instance.checkpoint, instance.birthHash ?? null);
    try {
      const ledTo = fault === null ? checkpointBody(instance.checkpoint) : undefined;
      yield { id: instance.id, fault, history: { ...bundledTrail(instance, policies), ledTo } };
    } catch (error) {
      if (!(error instanceof BecalmError)) throw error;
      yield { id: instance.id, error };
    }
  }
  if (id !== undefined && !isFound)
    throw new BecalmError(
      "BECALM_NOT_FOUND",
      `${file} holds no instance ${id}. \`becalm replay --file ${file}\` lists all.`,
    );
}

/** Reports each history that does not hold, and at the end how many do. */
async function replayMany(
  terminal: Terminal,
  { json }: ReplayOptions,
  many: AsyncGenerator<Attempted>,
): Promise<number> {
  const totals = { instances: 0, steps: 0, different: 0 };
  const progress = new Progress(terminal);
  const replayer = new Replayer();
  for await (const one of many) {
    totals.instances += 1;
    const { what, steps } = outcomeOf(one, replayer);
    totals.steps += steps;
    if (what !== null) {
      totals.different += 1;
      if (json) await terminal.json({ id: one.id, equal: false, what });
      else await terminal.out(`${terminal.outColors.red("✗")} ${one.id}: ${what}`);
    }
    progress.update((seconds) => {
      const rate = Math.round(totals.steps / seconds);
      return terminal.say(`${totals.steps} steps, ${rate}/s`, `${totals.steps} 步，每秒 ${rate}`);
    });
  }
  progress.end();
  const { green, red } = terminal.outColors;
  const { say } = terminal;
  const all = say(
    `${count(totals.instances, "history", "histories")}, ${count(totals.steps, "step", "steps")}`,
    `${totals.instances} 份历史，${totals.steps} 步`,
  );
  if (json) await terminal.json({ summary: totals });
  else if (totals.different === 0)
    await terminal.out(green(say(`✓ ${all}: every checkpoint is the same.`, `✓ ${all}：每个检查点都相同。`)));
  else
    await terminal.out(
      red(
        say(
          `${totals.different} of ${all} do not lead to the checkpoints that they say.`,
          `${all}中，${totals.different} 份与所记的检查点不符。`,
        ),
      ),
    );
  return totals.different > 0 ? EXIT.failed : EXIT.done;
}

function outcomeOf(one: Attempted, replayer: Replayer): { what: string | null; steps: number } {
  if ("error" in one) return { what: messageOf(one.error), steps: 0 };
  try {
    return { what: whatIsWrong(one.fault, replayer.divergence(one.history)), steps: one.history.entries.length };
  } catch (error) {
    if (error instanceof BecalmError) return { what: messageOf(error), steps: 0 };
    throw error;
  }
}

function whatIsWrong(fault: TrailFault | null, divergence: EntryBody | null): string | null {
  if (fault !== null) return `line ${fault.line} of its history ${fault.what}`;
  if (divergence === null) return null;
  return `entry ${divergence.version} (${divergence.event.type}) leads to another checkpoint than it says`;
}

function broken(id: string, what: string): BecalmError {
  return new BecalmError(
    "BECALM_HISTORY_BROKEN",
    `The history of ${id} does not hold: ${what}. Keep the store as it is until you know who wrote to it.`,
    { details: { id } },
  );
}
