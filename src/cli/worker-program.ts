/** Names, options and help of `becalm worker` and `becalm dead-letters`. */
import { InvalidArgumentError, Option } from "commander";
import { EFFECT_KINDS } from "../effects/effect-kind.ts";
import type { Rate } from "../runtime/workers/rate-limits.ts";
import type { Add } from "./add-command.ts";
import { durationMs } from "./amount-options.ts";
import { countOf, jsonOption, namespaceOption, read, serverOptions, storeOption } from "./command-options.ts";
import { CONCURRENCY_DEFAULT, CONCURRENCY_MAX, LIST_COUNT_DEFAULT, LIST_COUNT_MAX } from "./option-limits.ts";
import { DRAIN } from "./serve-program.ts";

export function addWorking(add: Add): void {
  add("worker", "run attempts of a namespace near their targets; engines and `becalm serve` decide", {
    options: [
      new Option("--policy <name...>", "only attempts of these policies"),
      new Option("--kind <kind...>", `only these: ${EFFECT_KINDS.join(", ")}`),
      new Option("--concurrency <n>", "actions at once, and as many notices beside them")
        .default(CONCURRENCY_DEFAULT)
        .argParser((given) => count(given, CONCURRENCY_MAX)),
      new Option(
        "--rate <policy=n/time>",
        "begin at most so many attempts of a policy within a time, over all workers that are told so: web=10/1m",
      ).argParser(rateOf),
      new Option("--queue <kind>", "hand attempts over to BullMQ, and run those that come: for Bull Board").choices([
        "bullmq",
      ]),
      new Option("--queue-url <url>", "BullMQ's Redis (default: that of --store)"),
      new Option("--queue-feed-only", "run no jobs: a team's own BullMQ workers do"),
      new Option("--allow-exec", "let policies start programs"),
      new Option("--allow-address <address...>", "link-local or metadata addresses that webhooks may reach, or ranges"),
      new Option(
        "--external-url <url>",
        "of the server: webhooks with `callback: true` need it, and links in requests",
      ),
      new Option("--secret-file <file>", "the server's, which signs those; or set BECALM_SECRET"),
      new Option("--drain <duration>", "how long to wait for attempts when stopping")
        .default(30_000, "30s")
        .argParser((given) => durationMs(given, DRAIN)),
      new Option("--log <file>", "a JSON line for each audit entry; - for stderr").default("-"),
      storeOption("instances live"),
      namespaceOption(),
    ],
    examples: [
      "becalm worker --store redis://127.0.0.1:6379",
      "becalm worker --store redis://127.0.0.1:6379 --queue bullmq",
      "becalm worker --policy restart-host --kind exec --allow-exec --rate restart-host=5/1m",
    ],
    act: async (to, options) => (await import("./worker.ts")).worker(to, read(options, ["allowExec", "queueFeedOnly"])),
  });
  add(
    "dead-letters [what] [id...]",
    "list, show or resume attempts that were delivered again and again without a result",
    {
      options: [
        new Option("--all", "with resume: all of them"),
        countOf("--limit <n>", "how many to list", { max: LIST_COUNT_MAX, fallback: LIST_COUNT_DEFAULT }),
        jsonOption(),
        storeOption("instances live"),
        namespaceOption(),
        ...serverOptions(),
      ],
      examples: [
        "becalm dead-letters",
        "becalm dead-letters show 03-0a1b2c3d4e5f60718293a4b5_1_1",
        "becalm dead-letters resume --all",
      ],
      act: async (to, options, [what = "list", ...ids]) =>
        (await import("./dead-letters.ts")).deadLettersCommand(to, read(options, ["json", "all"], { what, ids })),
    },
  );
}

/** Longer than that and a restart counts anew. */
const RATE = { minMs: 1, maxMs: 86_400_000 };

function count(given: string, max: number): number {
  const number = Number(given);
  if (/^\d{1,6}$/.test(given) && number >= 1 && number <= max) return number;
  throw new InvalidArgumentError(`Give a whole number from 1 to ${max}.`);
}

/** The name of a policy may hold a `=`, what follows the last one is the rate. */
function rateOf(given: string, before: Readonly<Record<string, Rate>> | undefined): Readonly<Record<string, Rate>> {
  const [, policy = "", times = "", one = "", time = ""] = /^(.+)=(\d{1,6})\/(\d*)(ms|s|m|h)$/.exec(given) ?? [];
  if (policy === "" || Number(times) < 1)
    throw new InvalidArgumentError("Give POLICY=N/TIME, such as restart-host=5/1m.");
  return { ...before, [policy]: { count: Number(times), perMs: durationMs(`${one === "" ? 1 : one}${time}`, RATE) } };
}
