/** Names, options and help of `becalm pause`, `resume` and `silence`. */
import { Option } from "commander";
import type { Add } from "./add-command.ts";
import { logOption } from "./command-options.ts";
import type { PauseOptions, ResumeOptions } from "./pause.ts";
import type { SilenceOptions } from "./silence.ts";

/**
 * `reading`: the options of a command that works on a namespace. `read`: what Commander gives, as a command takes it.
 */
type Around = {
  readonly reading: (...more: Option[]) => Option[];
  readonly read: <Wanted>(
    options: Readonly<Record<string, unknown>>,
    flags: readonly string[],
    more?: Readonly<Record<string, unknown>>,
  ) => Wanted;
};

export function addStopping(add: Add, { reading, read }: Around): void {
  const who = () => [
    new Option("--by <who>", "who is acting; recorded in the audit"),
    new Option("--why <text>", "the reason; recorded in the audit"),
    logOption(),
  ];
  const policy = () => new Option("--policy <name>", "only this policy; default: everything");
  add("pause", "the emergency stop: hold what would run, in every process of the namespace", {
    options: reading(policy(), ...who(), new Option("--list", "show what is paused and change nothing")),
    examples: [
      'becalm pause --by ann --why "the racks move"',
      'becalm pause --policy restart-host --by ann --why "it restarts the wrong ones"',
      "becalm pause --list",
    ],
    act: async (to, options) => (await import("./pause.ts")).pause(to, read<PauseOptions>(options, ["json", "list"])),
  });
  add("resume", "lift a pause; what it held stays held unless you say otherwise", {
    options: reading(
      policy(),
      ...who(),
      new Option("--decide", "decide again what was held, in order of arrival, so that limits hold"),
      new Option("--deny", "skip what was held"),
    ),
    examples: [
      'becalm resume --decide --by ann --why "the racks stand"',
      'becalm resume --policy restart-host --deny --by ann --why "done by hand"',
    ],
    act: async (to, options) =>
      (await import("./pause.ts")).resume(to, read<ResumeOptions>(options, ["json", "decide", "deny"])),
  });
  add(
    "silence <what> [args...]",
    "`silence add MATCHER...`, `silence ls`, `silence expire ID`: add, list and end silences at run time",
    {
      options: reading(
        new Option("--for <duration>", "how long it lasts, such as 30m or 2h"),
        new Option("--from <time>", "when it begins; default: now"),
        new Option("--to <time>", "when it ends, such as 2026-11-23T08:00:00Z"),
        ...who(),
      ),
      examples: [
        `becalm silence add 'cluster="edge"' --for 2h --by ann --why "rack move"`,
        "becalm silence ls",
        'becalm silence expire 0d9c6d4e-5a53-4f0e-9d0b-0b6f3b8e7a10 --by ann --why "done early"',
      ],
      act: async (to, options, [what = "", ...args]) =>
        (await import("./silence.ts")).silence(to, read<SilenceOptions>(options, ["json"], { what, args })),
    },
  );
}
