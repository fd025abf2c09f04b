/** Names, options and help of all commands. What a command does is in a file of its own, loaded when it is called. */
import { type Argument, Command, CommanderError, Option } from "commander";
import type { Add, Options } from "./add-command.ts";
import {
  collected,
  countOf,
  jsonOption,
  keeping,
  logOption,
  namespaceOption,
  observeOption,
  positiveNumber,
  read,
  readerFrom,
  readerOptions,
  reading,
  serverOptions,
  storeOption,
  wholeNumber,
} from "./command-options.ts";
import { detectOptions } from "./detect-options.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import {
  CONCURRENCY_DEFAULT,
  CONCURRENCY_MAX,
  INSPECT_COUNT_DEFAULT,
  INSPECT_COUNT_MAX,
  LIST_COUNT_DEFAULT,
  LIST_COUNT_MAX,
  PORT_MAX,
} from "./option-limits.ts";
import { packageVersion, shownPackageFile } from "./package-files.ts";
import { addServing } from "./serve-program.ts";
import { addStopping } from "./stop-program.ts";
import { storeOrServer } from "./store-or-server.ts";
import { readBy, type Terminal, tellError, terminal } from "./terminal.ts";
import { usageSentence } from "./usage-sentence.ts";
import { addCheck, addReport, addWhatIf } from "./what-if-program.ts";
import { addWorking } from "./worker-program.ts";

/** Runs the command that the arguments name; resolves to the exit code. */
export async function runProgram(args: readonly string[]): Promise<number> {
  const to = terminal();
  let exitCode: number = EXIT.done;
  const program = becalm(to, (code) => {
    exitCode = code;
  });
  try {
    if (args.length === 0) {
      to.note(program.helpInformation().trimEnd());
      return EXIT.usedWrongly;
    }
    await program.parseAsync(args, { from: "user" });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return EXIT.done;
      return tellError(to, usedWrongly(usageSentence(error, program, args)));
    }
    return tellError(to, error);
  }
}

function becalm(to: Terminal, onDone: (exitCode: number) => void): Command {
  const program = new Command("becalm")
    .description("Turns alert storms into a few audited actions.")
    .version(packageVersion(), "-V, --version")
    .usage("COMMAND [options]")
    .configureHelp({
      helpWidth: HELP_COLUMNS,
      subcommandTerm: (command) => [command.name(), ...command.registeredArguments.map(argumentTerm)].join(" "),
    })
    .exitOverride()
    .configureOutput({ writeErr: () => {}, outputError: () => {} })
    .helpCommand("help [COMMAND]", "show the help of a command")
    .addHelpText("after", GENERAL_HELP);
  const add: Add = (name, summary, { options = [], examples, act }) => {
    const command = program.command(name).description(summary).allowExcessArguments(false);
    for (const option of [...options, ...readerOptions()]) command.addOption(option);
    command.addHelpText("after", `\nExamples:\n${examples.flatMap(exampleLines).join("\n")}\n`);
    command.action(async (...given: unknown[]) => {
      const own = given.slice(0, -2).flat() as (string | undefined)[];
      const options = storeOrServer(given.at(-2) as Options, (name) => command.getOptionValueSource(name) === "cli");
      onDone(
        await act(
          readBy(to, readerFrom(options)),
          options,
          own.filter((arg) => arg !== undefined),
        ),
      );
    });
    return command;
  };
  addRunning(add);
  addWhatIf(add);
  addDetecting(add);
  addLooking(add);
  addReport(add);
  addKeeping(add);
  addActing(add);
  addStopping(add, { reading, read });
  addWorking(add);
  addDrawing(add);
  addServing(add, [storeOption("instances live (default: lmdb:./becalm-data)"), namespaceOption()]);
  return program;
}

const HELP_COLUMNS = 80;

/** An example is cut before options and programs, so that it can be copied as it stands. */
function exampleLines(example: string): string[] {
  const lines: string[] = [];
  let line = "  $";
  for (const piece of example.split(/ (?=--|\| |&& )/)) {
    if (line.length + piece.length + " \\".length >= HELP_COLUMNS) {
      lines.push(`${line} \\`);
      line = "     ";
    }
    line += ` ${piece}`;
  }
  return [...lines, line];
}

function argumentTerm(argument: Argument): string {
  const name = argument.name() + (argument.variadic ? "..." : "");
  return argument.required ? `<${name}>` : `[${name}]`;
}

const GENERAL_HELP = `
Results go to stdout, everything else to stderr. --json: one JSON object a line.
Name the store with --store or BECALM_STORE, the namespace with --namespace or
BECALM_NAMESPACE. --lang zh: Chinese. --tz Asia/Shanghai: times of that zone.
An instance's id may be shortened to its first digits: becalm show 03-0a1b.

Exit codes: 0 done, 1 failed, 2 used wrongly, 3 not found, 4 conflict or refused
by the state.

First steps:
  $ becalm demo
  $ becalm run --policies ${shownPackageFile("demo/policies.yaml")} --alerts ${shownPackageFile("demo/storm.jsonl")}
`;

function addRunning(add: Add): void {
  add("demo", "show what becalm makes of a captured alert storm", {
    options: [
      new Option("--store <url>", "keep the demo's instances in a store and look at them later"),
      new Option("--namespace <name>", "the namespace in that store").default("demo"),
      new Option("--serve", "send the storm to a server on loopback; watch its console"),
      new Option("--listen <address>", "with --serve: where the server listens").default("127.0.0.1:9095"),
      new Option("--speed <factor>", "with --serve: how many times the original speed")
        .default(10)
        .argParser(positiveNumber),
    ],
    examples: [
      "becalm demo",
      "becalm demo --serve",
      "becalm demo --store redis://127.0.0.1:6379 && becalm ls --store redis://127.0.0.1:6379 --namespace demo",
    ],
    act: async (to, options) =>
      options["serve"] === true
        ? (await import("./served-demo.ts")).servedDemo(to, read(options, []))
        : (await import("./demo.ts")).demo(to, read(options, [])),
  });
  add("run", "simulate what a file of alerts would do under policies; --execute performs the actions", {
    options: [
      new Option("--policies <file>", "YAML or JSON, see docs/policies.md").makeOptionMandatory(),
      new Option(
        "--alerts <file>",
        "requests, webhooks or alerts as JSON or JSON lines (docs/inputs.md); - for stdin",
      ).makeOptionMandatory(),
      new Option("--sort", "take the requests by time instead of in file order"),
      new Option("--execute", "perform the actions: post webhooks, start programs"),
      observeOption(),
      new Option(
        "--assume <policy=pattern>",
        "how attempts of a policy (* for all) are assumed to end: ok or failed, one word per attempt, such as failed,ok",
      ).argParser(collected),
      countOf("--concurrency <n>", "with --execute: attempts at once", {
        max: CONCURRENCY_MAX,
        fallback: CONCURRENCY_DEFAULT,
      }),
      new Option("--allow-exec", "with --execute: let policies start programs"),
      new Option("--strict", "exit 1 if a line or an alert was rejected"),
      logOption(),
      new Option("--quiet", "no progress and no counts on stderr"),
      ...keeping("instances live"),
    ],
    examples: [
      "becalm run --policies policies.yaml --alerts storm.jsonl",
      "becalm run --policies policies.yaml --alerts storm.jsonl --assume web=failed,ok",
      "becalm run --policies policies.yaml --alerts - --json < storm.jsonl",
      "becalm run --policies policies.yaml --alerts storm.jsonl --store lmdb:./storm",
    ],
    act: async (to, options) =>
      (await import("./run.ts")).run(
        to,
        read(options, ["execute", "observe", "allowExec", "strict", "sort", "json", "quiet"]),
      ),
  });
}

function addDetecting(add: Add): void {
  add("doctor", "check a namespace and its store, and say what to change", {
    options: reading(
      new Option("--raise-format", "bring a namespace of an earlier version up to date"),
      new Option(
        "--allow-unexported-removal",
        "let every engine remove without an export again: take away the mark that engines with --export-removed left",
      ),
    ),
    examples: ["becalm doctor", "becalm doctor --raise-format"],
    act: async (to, options) =>
      (await import("./doctor.ts")).doctor(to, read(options, ["json", "raiseFormat", "allowUnexportedRemoval"])),
  });
  add("detect", "turn metric records into alerts, by strategies; a restart continues where the last run ended", {
    options: [...detectOptions(), ...keeping("the stream is kept")],
    examples: [
      `becalm detect --strategies ${shownPackageFile("demo/strategies.yaml")} --records ${shownPackageFile("demo/host-metrics.csv")}`,
      "becalm detect --strategies strategies.yaml --records monday.csv tuesday.csv --store redis://127.0.0.1:6379",
      "becalm detect --strategies strategies.yaml --records - < metrics.csv | becalm run --policies policies.yaml --alerts -",
    ],
    act: async (to, options) =>
      (await import("./detect.ts")).detect(
        to,
        read(options, ["strict", "json", "quiet", "sort", "live", "checkpoints"]),
      ),
  });
  addCheck(add);
}

function addLooking(add: Add): void {
  add("ls", "list instances, newest first", {
    options: reading(
      new Option("--state <state>", "only those in this state"),
      new Option("--policy <name>", "only those of this policy"),
      new Option("--group <id>", "only those of this convergence group"),
      new Option("--reason <code>", "only those with this reason"),
      new Option("--label <matchers...>", "only those of alerts with these labels: cluster=core, 'host=~\"web.*\"'"),
      new Option("--since <time>", "only those created since then: 6h, 7d, or 2026-11-23T06:00:00Z"),
      new Option("--quarantined", "only those whose checkpoints cannot be read"),
      countOf("--limit <n>", "page size", { max: LIST_COUNT_MAX, fallback: LIST_COUNT_DEFAULT }),
      new Option("--cursor <cursor>", "continue where an earlier page ended"),
    ),
    examples: ["becalm ls --state Waiting", "becalm ls --policy restart-host --label cluster=core"],
    act: async (to, options) => (await import("./ls.ts")).ls(to, read(options, ["json", "quarantined"])),
  });
  add("show <id>", "show everything about an instance: its alert, its state, and why each step was taken", {
    options: reading(new Option("--at <version|time>", "as it was at that version, or at that time")),
    examples: ["becalm show 03-0a1b2c3d4e5f60718293a4b5", "becalm show 03-0a1b2c3d4e5f60718293a4b5 --at 2 --lang zh"],
    act: async (to, options, [id = ""]) => (await import("./show.ts")).show(to, read(options, ["json"], { id })),
  });
  add("policy [name@version]", "list the policy versions of a namespace, or show one as its file had it", {
    options: reading(),
    examples: ["becalm policy", "becalm policy restart-host", "becalm policy restart-host@0a1b2c3d4e5f6071"],
    act: async (to, options, [reference]) =>
      (await import("./policy.ts")).policy(to, read(options, ["json"], { reference })),
  });
}

/** What a whole namespace or store holds. */
function addKeeping(add: Add): void {
  add("replay [id]", "step histories through the machine again and compare every checkpoint", {
    options: reading(
      new Option("--all", "every instance"),
      new Option("--file <bundle>", "what `becalm export` wrote, instead of a store; - for stdin"),
      new Option("--machine <file>", "through another statechart: a module whose code is run"),
    ),
    examples: [
      "becalm replay 03-0a1b2c3d4e5f60718293a4b5",
      "becalm replay --all",
      "becalm replay --file storm.bundle",
      "becalm replay --all --machine next.mjs",
    ],
    act: async (to, options, [id]) =>
      (await import("./replay-command.ts")).replayCommand(to, read(options, ["json", "all"], { id })),
  });
  add("export [id...]", "write histories, checkpoints and policies to one file, to verify and replay elsewhere", {
    options: [
      new Option("--out <file>", "the bundle; - for stdout").makeOptionMandatory(),
      new Option("--group <id>", "only instances of this convergence group"),
      new Option("--since <time>", "only instances created since then: 6h, 7d, or 2026-11-23T06:00:00Z"),
      new Option("--redact <names...>", "labels and annotations whose values are replaced (equal values stay equal)"),
      storeOption("instances live"),
      namespaceOption(),
      ...serverOptions(),
    ],
    examples: [
      "becalm export --out storm.bundle",
      "becalm export --since 2026-11-23T06:00:00Z --redact instance summary --out storm.bundle",
      "becalm audit verify --file storm.bundle",
    ],
    act: async (to, options, ids) => (await import("./export.ts")).exportCommand(to, read(options, [], { ids })),
  });
  add("backup <target>", "copy an lmdb store to a new folder or .mdb file while its writer keeps running", {
    options: [jsonOption(), storeOption("the original is")],
    examples: ["becalm backup backups/monday --store lmdb:./becalm-data", "becalm ls --store lmdb:backups/monday"],
    act: async (to, options, [target = ""]) =>
      (await import("./backup.ts")).backup(to, read(options, ["json"], { target })),
  });
  add("audit <what> [id...]", "`audit verify`: find changed, missing and reordered entries of audit trails", {
    options: reading(
      new Option("--all", "every instance: the default without ids"),
      new Option("--file <bundle>", "what `becalm export` wrote, instead of a store; - for stdin"),
      new Option("--against <log...>", "compare with the lines that --log wrote: all files, also compressed ones"),
    ),
    examples: [
      "becalm audit verify",
      "becalm audit verify --against becalm.log becalm.log.1.gz",
      "becalm audit verify 03-0a1b2c3d4e5f60718293a4b5",
      "becalm audit verify --file storm.bundle",
    ],
    act: async (to, options, [what = "", ...ids]) =>
      (await import("./audit.ts")).audit(to, read(options, ["json", "all"], { what, ids })),
  });
}

function addActing(add: Add): void {
  const who = () => [
    new Option("--by <who>", "who is acting; recorded in the audit"),
    new Option("--why <text>", "the reason; recorded in the audit"),
  ];
  const now = () => [
    logOption(),
    new Option("--run", "run the action that follows now, in this process"),
    new Option("--allow-exec", "with --run: allow it to start a program"),
  ];
  add(
    "send <id> <event>",
    "send an event: start (run anyway; from Success, Failed and Waiting after `end`), cancel, end, approval.granted, approval.denied, alert.resolved",
    {
      options: reading(...who(), ...now()),
      examples: [
        'becalm send 03-0a1b2c3d4e5f60718293a4b5 start --by ann --why "needed anyway" --run',
        'becalm send 03-0a1b2c3d4e5f60718293a4b5 cancel --by ann --why "wrong host"',
      ],
      act: async (to, options, [id = "", event = ""]) =>
        (await import("./send.ts")).send(to, read(options, ["json", "run", "allowExec"], { id, event })),
    },
  );
  for (const [name, verb, done] of [
    ["approve", "grant", "approval.granted"],
    ["deny", "deny", "approval.denied"],
  ] as const) {
    add(`${name} [id]`, `${verb} the approval of an instance, or of everything that a group holds`, {
      options: reading(
        new Option("--group <id>", "everything that this group holds"),
        ...who(),
        ...(name === "approve" ? now() : [logOption()]),
      ),
      examples: [
        `becalm ${name} 03-0a1b2c3d4e5f60718293a4b5 --by ann --why "looked at it"`,
        `becalm ${name} --group 'restart-host:!sha1#...' --by ann --why "looked at it"`,
      ],
      act: async (to, options, [id]) =>
        (await import("./answer.ts")).answer(
          to,
          read(options, ["json", "run", "allowExec"], { id, event: done, command: name }),
        ),
    });
  }
}

function addDrawing(add: Add): void {
  const format = () =>
    new Option("--format <format>", "of the picture").choices(["svg", "mermaid", "ascii"]).default("ascii");
  add("machine [name]", "draw a machine: action-instance or convergence-group", {
    options: [format()],
    examples: ["becalm machine action-instance", "becalm machine action-instance --format svg > machine.svg"],
    act: async (to, options, [name]) => (await import("./machine.ts")).machine(to, read(options, [], { name })),
  });
  add("inspect [id...]", "show instances in the Stately inspector, live or replayed; or draw one", {
    options: [
      new Option("--policy <name>", "only instances of this policy"),
      new Option("--group <id>", "only instances of this group"),
      new Option("--live", "follow the instances as they move (the default)"),
      new Option("--replay", "play what they did, from their histories"),
      new Option("--speed <factor>", "of the replay: 10 is ten times faster").argParser(positiveNumber),
      countOf("--limit <count>", "how many instances, the newest first", {
        max: INSPECT_COUNT_MAX,
        fallback: INSPECT_COUNT_DEFAULT,
      }),
      new Option("--port <number>", "on 127.0.0.1; 0 picks a free one")
        .default(0)
        .argParser((given) => wholeNumber(given, { min: 0, max: PORT_MAX })),
      new Option("--redact <fields>", "keys or paths to hide from viewers, such as token,result.body"),
      new Option("--inspector-url <url>", "the page to embed, or none").default("https://stately.ai/inspect"),
      new Option("--format <format>", "draw one instance instead").choices(["svg", "mermaid", "ascii"]),
      ...reading(),
    ],
    examples: [
      "becalm inspect --policy disk-cleanup",
      "becalm inspect 03-0a1b2c3d4e5f60718293a4b5 --replay --speed 10",
      "becalm inspect 03-0a1b2c3d4e5f60718293a4b5 --format svg > instance.svg",
    ],
    act: async (to, options, ids) =>
      (await import("./inspect.ts")).inspect(to, read(options, ["live", "replay", "json"], { ids })),
  });
}
