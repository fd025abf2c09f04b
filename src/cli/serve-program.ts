/** Names, options and help of `becalm serve`. */
import { InvalidArgumentError, Option } from "commander";
import { PARTITION_COUNT_MAX, RETENTION_MS_DEFAULT } from "../model/limits.ts";
import type { Add } from "./add-command.ts";
import { byteSize, durationMs } from "./amount-options.ts";
import { wholeNumber } from "./command-options.ts";
import { CONCURRENCY_DEFAULT, CONCURRENCY_MAX } from "./option-limits.ts";
import type { ServeOptions } from "./serve.ts";

export function addServing(add: Add, where: readonly Option[]): void {
  const named = (flags: string, text: string) => new Option(flags, text).env(variableOf(flags));
  add("serve", "take alerts over HTTP: Prometheus, Alertmanager, amtool and Grafana talk to it as to Alertmanager", {
    options: [
      named("--policies <file>", "YAML or JSON, see docs/policies.md").makeOptionMandatory(),
      named("--strategies <file>", "take metric records too, see docs/strategies.md"),
      named("--stream <name...>", "streams of records; default: one, named `default`"),
      named("--enrich <file>", "CSV: labels for detected alerts, by a dimension that its first column names"),
      named("--listen <address>", "HOST:PORT; port 0 picks a free one").default("127.0.0.1:9095"),
      named("--tokens <file>", "who may do what: a JSON array of { name, role, token }"),
      named("--external-url <url>", "how people and targets reach this server: approval requests then carry links"),
      named("--secret-file <file>", "secrets that sign links and callbacks, one a line; or set BECALM_SECRET"),
      named("--insecure-listen", "listen beyond loopback without tokens"),
      named("--leave-effects", "run no effects here: `becalm worker` processes do"),
      named("--raise-format", "no engine of version 0.1.0 is left: bring its namespace to this version's format"),
      named("--observe", "decide and audit everything, perform no action: `mode: observe` for every policy"),
      named("--shadow <file>", "candidate policies beside those in force: see where they would go another way"),
      named("--allow-exec", "let policies start programs"),
      named("--allow-address <address...>", "link-local or metadata addresses that webhooks may reach, or ranges"),
      named("--allow-origin <origin...>", "allow pages of these origins to send requests"),
      named("--tls-cert <file>", "use TLS: the certificate"),
      named("--tls-key <file>", "and its key"),
      named("--max-body <size>", "limit of one request, such as 32MiB")
        .default(32 * 1_024 * 1_024, "32MiB")
        .argParser((given) => byteSize(given, BODY_SIZE)),
      named("--watch", "reload when one of the files changes: policies, strategies, shadow, tokens, certificate, key"),
      named("--log <file>", "a JSON line for each audit entry; - for stderr").default("-"),
      named("--concurrency <n>", "actions at once, and as many notices beside them")
        .default(CONCURRENCY_DEFAULT)
        .argParser(concurrency),
      named("--drain <duration>", "how long to wait for requests and attempts when stopping")
        .default(30_000, "30s")
        .argParser((given) => durationMs(given, DRAIN)),
      named("--retention <duration>", "how long an instance at rest is kept, with its audit")
        .default(RETENTION_MS_DEFAULT, "7d")
        .argParser((given) => durationMs(given, RETENTION)),
      named("--export-removed <folder>", "write each instance into a bundle in this folder before it is removed"),
      named("--partitions <n>", "of the namespace, fixed when it is made (default: 16)").argParser((given) =>
        wholeNumber(given, { min: 1, max: PARTITION_COUNT_MAX }),
      ),
      named("--request-timeout <duration>", "time limit of a whole request")
        .default(30_000, "30s")
        .argParser((given) => durationMs(given, REQUEST_TIMEOUT)),
      ...where,
    ],
    examples: [
      "becalm serve --policies policies.yaml",
      "becalm serve --policies policies.yaml --listen 0.0.0.0:9095 --tokens tokens.json --store redis://127.0.0.1:6379",
    ],
    act: async (to, options) => (await import("./serve.ts")).serve(to, serveOptions(options)),
  });
}

/** `--tls-cert <file>` may also be set in the environment as BECALM_TLS_CERT. */
function variableOf(flags: string): string {
  const name = flags.split(" ")[0] ?? flags;
  return `BECALM_${name.slice(2).replaceAll("-", "_").toUpperCase()}`;
}

/** Smaller ones refuse what usual senders send at once: Prometheus up to 64 alerts, of a kilobyte each. */
const BODY_SIZE = { minBytes: 64 * 1_024, maxBytes: 1_024 * 1_024 * 1_024 };
/** What a sender repeats after its instance was removed runs again; Alertmanager repeats every 4 h unless told otherwise. */
const RETENTION = { minMs: 86_400_000 };
/** 0: nothing is waited for. */
export const DRAIN = { minMs: 0, maxMs: 86_400_000 };
/** Over a network the parts of a request may be half a second apart. */
const REQUEST_TIMEOUT = { minMs: 1_000, maxMs: 86_400_000 };

function concurrency(given: string): number {
  const count = Number(given);
  if (/^\d{1,6}$/.test(given) && count >= 1 && count <= CONCURRENCY_MAX) return count;
  throw new InvalidArgumentError(`Give a whole number from 1 to ${CONCURRENCY_MAX}.`);
}

/** Flags that were not given are missing, and an empty address of a store is none. */
function serveOptions(options: Readonly<Record<string, unknown>>): ServeOptions {
  const { maxBody, drain, requestTimeout, retention, store, ...rest } = options;
  const flags = ["insecureListen", "allowExec", "observe", "watch", "leaveEffects", "raiseFormat"].map(
    (name) => [name, isOn(options[name])] as const,
  );
  return {
    ...rest,
    ...Object.fromEntries(flags),
    store: store || undefined,
    maxBodyBytes: maxBody,
    drainMs: drain,
    requestMs: requestTimeout,
    retentionMs: retention,
  } as unknown as ServeOptions;
}

/** A flag in the environment is a text: `BECALM_WATCH=0` does not mean yes. */
function isOn(value: unknown): boolean {
  return value === true || (typeof value === "string" && !["", "0", "false", "no"].includes(value.toLowerCase()));
}
