/** Names, options and help of the commands that say what would be, and touch nothing. */
import { Option } from "commander";
import type { Add } from "./add-command.ts";
import { collected, countOf, jsonOption, read, reading } from "./command-options.ts";
import { DIFF_SHOWN_DEFAULT, LIST_COUNT_MAX, REPORT_COUNT_DEFAULT, REPORT_COUNT_MAX } from "./option-limits.ts";

export function addWhatIf(add: Add): void {
  add("diff", "show what would go another way under other policies; simulates and writes nothing", {
    options: [
      new Option("--policies <file>", "the new policies"),
      new Option(
        "--against <file>",
        "the policies in force; with --from-store or --from the default is what was recorded",
      ),
      new Option("--alerts <file...>", "as for `run`, one after the other; - for stdin"),
      new Option("--from-store", "instead of --alerts: what the store has recorded"),
      new Option("--from <bundle>", "instead of --alerts: what `becalm export` wrote; - for stdin"),
      new Option("--shadow", "instead of all these: where the shadow of a running `becalm serve` would go another way"),
      new Option("--since <time>", "only what began since then: 6h, 7d, or 2026-11-23T06:00:00Z"),
      new Option("--assume <policy=pattern>", "how attempts are assumed to end, as for `run`").argParser(collected),
      new Option(
        "--fail-if <condition>",
        "a gate: exit 1 if it holds, such as 'now.executed > 100' or 'changed != 0'",
      ).argParser(collected),
      new Option("--no-newly-skipped <matchers>", "a gate: exit 1 if a matching alert is newly skipped")
        .default([], "none")
        .argParser(collected),
      new Option("--no-newly-executed <matchers>", "a gate: exit 1 if a matching alert is newly executed")
        .default([], "none")
        .argParser(collected),
      countOf("--limit <n>", "how many changes to show", { max: LIST_COUNT_MAX, fallback: DIFF_SHOWN_DEFAULT }),
      new Option("--sort", "sort the requests of a file by their times"),
      new Option("--markdown", "a comment for a merge request"),
      ...reading(),
    ],
    examples: [
      "becalm diff --policies new.yaml --against policies.yaml --alerts storm.jsonl",
      "becalm diff --policies new.yaml --against policies.yaml --alerts storm.jsonl --fail-if 'now.executed > 100'",
      "becalm diff --policies new.yaml --against policies.yaml --alerts storm.jsonl --no-newly-skipped 'severity=\"critical\"' --markdown",
      "becalm diff --policies new.yaml --from-store --since 2026-11-23T06:00:00Z",
      "becalm diff --shadow --server http://127.0.0.1:9095",
    ],
    act: async (to, options) =>
      (await import("./diff.ts")).diff(to, read(options, ["json", "markdown", "sort", "fromStore", "shadow"])),
  });
  addTune(add);
  addFork(add);
}

function addTune(add: Add): void {
  add("tune", "try a rule with other settings on the same alerts, and name the smallest change that reaches a target", {
    options: [
      new Option("--policies <file>", "the policies in force").makeOptionMandatory(),
      new Option("--policy <name>", "the policy whose rule is varied").makeOptionMandatory(),
      new Option("--alerts <file...>", "as for `run`, one after the other; - for stdin"),
      new Option(
        "--vary <setting=values>",
        "count=1..10, window=1m,5m,15m or by=cluster,cluster+job; several make a grid",
      ).argParser(collected),
      new Option(
        "--target <condition>",
        "what the smallest change must reach, such as 'executed <= 20'; if given several times, all must hold",
      ).argParser(collected),
      new Option("--assume <policy=pattern>", "how attempts are assumed to end, as for `run`").argParser(collected),
      new Option("--svg <file>", "a plot of what each combination achieves and changes"),
      new Option("--out <file>", "the policy file with the smallest change in it"),
      countOf("--limit <n>", "how many changes to show", { max: LIST_COUNT_MAX, fallback: DIFF_SHOWN_DEFAULT }),
      new Option("--sort", "sort the requests of a file by their times"),
      jsonOption(),
    ],
    examples: [
      "becalm tune --policies policies.yaml --policy shed-load --alerts storm.jsonl --vary count=1..10",
      "becalm tune --policies policies.yaml --policy shed-load --alerts storm.jsonl --vary count=1..10 --vary window=1m,5m,15m --target 'executed <= 20' --out new.yaml",
    ],
    act: async (to, options) => (await import("./tune.ts")).tune(to, read(options, ["json", "sort"])),
  });
}

/** What came of the rules in force. */
export function addReport(add: Add): void {
  add(
    "report",
    "show what came of the rules: how many skipped alerts resolved anyway, how many executed actions helped",
    {
      options: reading(
        new Option("--since <time>", "instances created since then: 24h, 7d, or 2026-11-23T06:00:00Z").default("24h"),
        new Option("--policy <name>", "only those of this policy"),
        countOf("--limit <n>", "read at most this many instances, the newest first", {
          max: REPORT_COUNT_MAX,
          fallback: REPORT_COUNT_DEFAULT,
        }),
      ),
      examples: ["becalm report", "becalm report --since 7d --policy restart-host --json"],
      act: async (to, options) => (await import("./report.ts")).report(to, read(options, ["json"])),
    },
  );
}

function addFork(add: Add): void {
  add("fork [id]", "show what would have become of an instance, or of a group, if something else had happened", {
    options: reading(
      new Option("--at <version|time>", "fork at this version of the instance, or at this time"),
      new Option("--group <id>", "fork this group: the events answer for all that it holds"),
      new Option(
        "--event <json>",
        `what happens instead, once or several times: {"type":"approval.granted","after":"12m"}; also effect.done and effect.failed`,
      ).argParser(collected),
      new Option("--assume <policy=pattern>", "how attempts that are not recorded end, as for `run`").argParser(
        collected,
      ),
    ),
    examples: [
      `becalm fork 03-0a1b2c3d4e5f60718293a4b5 --at 1 --event '{"type":"effect.failed"}'`,
      `becalm fork --group 'restart-host:!sha1#...' --event '{"type":"approval.granted","after":"12m"}'`,
    ],
    act: async (to, options, [id]) => (await import("./fork.ts")).fork(to, read(options, ["json"], { id })),
  });
}

/** Mistakes of files; with `--fleet` what files would mean to what is stored. */
export function addCheck(add: Add): void {
  add("check [file...]", "read policy and strategy files and list all their mistakes", {
    options: reading(
      new Option("--model", "explore what each policy can do: what can never run, wait for ever, or run twice"),
      new Option("--strict", "exit 1 if there is a warning, or the model finds something"),
      new Option("--fleet", "instead: what the policies, and --machine, would mean for every stored instance"),
      new Option("--machine <file>", "with --fleet: another statechart, a module whose code is run"),
    ),
    examples: [
      "becalm check policies.yaml",
      "becalm check policies.yaml --model --strict",
      "becalm check new.yaml --fleet --machine next.mjs",
    ],
    act: async (to, options, files) =>
      options["fleet"] === true
        ? (await import("./fleet.ts")).checkFleet(to, read(options, ["json"], { files }))
        : (await import("./check.ts")).check(to, read(options, ["json", "model", "strict"], { files })),
  });
}
