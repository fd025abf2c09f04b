/** `becalm inspect`: where an instance has been, drawn into its machine. */
import { actionInstanceMachine } from "../../machines/index.ts";
import { topLevel } from "../core/step.ts";
import { type DrawingFormat, drawChart } from "../drawing/index.ts";
import { EXIT } from "./exit-codes.ts";
import { wholePath } from "./file-report.ts";
import { type StoreOptions, withReading } from "./open-session.ts";
import type { Terminal } from "./terminal.ts";

export type InspectOptions = StoreOptions & { readonly id: string; readonly format: DrawingFormat };

export async function inspect(terminal: Terminal, options: InspectOptions): Promise<number> {
  return withReading(options, "inspect", async (session) => {
    const { snapshot } = await session.instance(options.id);
    const path = wholePath(await session.history(options.id));
    const picture = drawChart(actionInstanceMachine, {
      format: options.format,
      path,
      current: snapshot.state,
      title: `${options.id} is ${topLevel(snapshot.state)}`,
    });
    await terminal.out(picture.trimEnd());
    return EXIT.done;
  });
}
