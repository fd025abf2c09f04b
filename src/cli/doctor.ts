/** `becalm doctor`: what a namespace and its store are like, and what to change; `--raise-format` brings a namespace of an earlier version up to date. */
import { count } from "../present/text-table.ts";
import { raiseFormat } from "../runtime/raise-format.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { RAISED_FORMAT } from "../stores/store.ts";
import { EXIT } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type DoctorOptions = StoreOptions & { readonly raiseFormat: boolean; readonly json: boolean };

/** One thing that was looked at. `advice`: what to do about it; missing: it is as it should be. */
type Finding = { readonly what: string; readonly is: string; readonly advice?: string };

export async function doctor(terminal: Terminal, options: DoctorOptions): Promise<number> {
  return withReading(options, "doctor", async ({ runtime }) => {
    const findings = [
      {
        what: "namespace",
        is: `${options.namespace}, ${runtime.mode}, ${count(runtime.partitions, "partition", "partitions")}`,
      },
      options.raiseFormat ? await raisedFormat(runtime) : formatOf(runtime),
    ];
    for (const finding of findings) await tell(terminal, finding, options.json);
    return findings.some(({ advice }) => advice !== undefined) ? EXIT.failed : EXIT.done;
  });
}

function formatOf({ format }: Runtime): Finding {
  if (format >= RAISED_FORMAT) return { what: "format", is: String(format) };
  return {
    what: "format",
    is: `${format}, made by an earlier version: listing by state reads every instance, and another startsAt makes another alert`,
    advice: "when no engine of an earlier version works on it any longer, run `becalm doctor --raise-format`",
  };
}

async function raisedFormat(runtime: Runtime): Promise<Finding> {
  const { format, instances, open, unreadable } = await raiseFormat(runtime);
  const found = `${format}; ${count(instances, "instance", "instances")} looked at, ${open} not at rest`;
  return {
    what: "format",
    is: unreadable === 0 ? found : `${found}, ${unreadable} cannot be read (\`becalm ls --quarantined\`)`,
  };
}

async function tell(terminal: Terminal, { what, is, advice }: Finding, isJson: boolean): Promise<void> {
  if (isJson) return terminal.json({ what, is, ...(advice === undefined ? {} : { advice }) });
  const { green, yellow } = terminal.outColors;
  const mark = advice === undefined ? green("✓") : yellow("!");
  await terminal.out(`${mark} ${what}: ${is}${advice === undefined ? "" : `; ${advice}`}`);
}
