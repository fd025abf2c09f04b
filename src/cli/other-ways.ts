/** `becalm replay --machine`: which recorded histories another statechart takes another way. */
import type { AnyStateMachine } from "xstate";
import { type BecalmError, messageOf } from "../model/errors.ts";
import { count } from "../present/text-table.ts";
import { otherWay } from "../simulate/other-machine.ts";
import type { Trail } from "../simulate/replay.ts";
import { EXIT } from "./exit-codes.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";

type Attempted =
  | { readonly id: string; readonly history: Trail }
  | { readonly id: string; readonly error: BecalmError };

/** Reports each history that another machine takes another way, and at which step. */
export async function otherWays(
  terminal: Terminal,
  { json }: { readonly json: boolean },
  { histories, machine }: { histories: AsyncIterable<Attempted>; machine: AnyStateMachine },
): Promise<number> {
  const totals = { instances: 0, different: 0, unreadable: 0 };
  const progress = new Progress(terminal);
  for await (const one of histories) {
    totals.instances += 1;
    progress.update(() => `${totals.instances.toLocaleString("en")} histories, ${totals.different} another way`);
    if ("error" in one) {
      totals.unreadable += 1;
      terminal.note(terminal.noteColors.yellow(`${one.id}: ${messageOf(one.error)}`));
      continue;
    }
    const way = otherWay(machine, one.history);
    if (way === null) continue;
    totals.different += 1;
    const { version, event, was, now } = way;
    if (json) await terminal.json({ id: one.id, version, event, was, now });
    else
      await terminal.out(`${terminal.outColors.red("✗")} ${one.id} at version ${version}, ${event}: ${was} → ${now}`);
  }
  progress.end();
  const isSame = totals.different + totals.unreadable === 0;
  const { green, red } = terminal.outColors;
  const all = count(totals.instances, "history", "histories");
  if (json) await terminal.json({ summary: totals });
  else if (isSame) await terminal.out(green(`✓ ${all}: the machine goes the same way.`));
  else await terminal.out(red(`${totals.different} of ${all} go another way, ${totals.unreadable} cannot be read.`));
  return isSame ? EXIT.done : EXIT.failed;
}
