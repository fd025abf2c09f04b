/** A statechart from a file. Loading it runs its code, which is said before. */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import type { AnyStateMachine } from "xstate";
import { BecalmError, messageOf } from "../model/errors.ts";
import { machineIn } from "../simulate/other-machine.ts";
import { readText } from "./read-text.ts";
import type { Terminal } from "./terminal.ts";

export async function loadMachine(terminal: Terminal, file: string): Promise<AnyStateMachine> {
  // A wrong path is said before anything is run.
  await readText(file);
  const warning = terminal.say(
    `Running the code of ${file}: --machine loads it as a module.`,
    `正在运行 ${file} 中的代码：--machine 将其作为模块加载。`,
  );
  terminal.note(terminal.noteColors.yellow(warning));
  try {
    return machineIn((await import(pathToFileURL(resolve(file)).href)) as Record<string, unknown>, file);
  } catch (cause) {
    if (cause instanceof BecalmError) throw cause;
    const what = `${file} cannot be loaded: ${messageOf(cause)}. Give a JavaScript module (.mjs) that Node.js can import.`;
    throw new BecalmError("BECALM_ARGUMENT_INVALID", what, { cause, details: { file } });
  }
}
