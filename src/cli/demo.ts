/** `becalm demo`: what the packaged files show, part by part. */

import { EXIT } from "./exit-codes.ts";
import { hostDemo } from "./host-demo.ts";
import { type StormDemoOptions, stormDemo } from "./storm-demo.ts";
import type { Terminal } from "./terminal.ts";

/** Parts in the order in which they are shown. */
const PARTS: readonly ((terminal: Terminal, options: StormDemoOptions) => Promise<void>)[] = [stormDemo, hostDemo];

export async function demo(terminal: Terminal, options: StormDemoOptions): Promise<number> {
  for (const part of PARTS) await part(terminal, options);
  return EXIT.done;
}
