/** How a command is added to the program: its name, its options, what it does. */
import type { Command, Option } from "commander";
import type { Terminal } from "./terminal.ts";

/** As Commander gives them: each command says what it takes. */
export type Options = Readonly<Record<string, unknown>>;
export type Act = (to: Terminal, options: Options, args: readonly string[]) => Promise<number>;

export type Add = (
  name: string,
  summary: string,
  how: { options?: Option[]; examples: readonly string[]; act: Act },
) => Command;
