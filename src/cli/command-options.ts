/** Kinds of options that several commands have, and what is made of what Commander gives. */
import { InvalidArgumentError, Option } from "commander";
import { nearestName } from "../formats/nearest-name.ts";
import { type Reader, readerOf } from "../present/reader.ts";
import { LANGUAGES, type Language } from "../present/sentences.ts";
import { timesIn } from "../present/time-text.ts";
import type { Options } from "./add-command.ts";
import { usedWrongly } from "./exit-codes.ts";

export function storeOption(what: string): Option {
  return new Option("--store <url>", `where ${what}: lmdb:PATH, or redis://[user:password@]host[:port][/database]`).env(
    "BECALM_STORE",
  );
}

export function namespaceOption(namespace = "default"): Option {
  return new Option("--namespace <name>", "instances in different namespaces do not see each other")
    .default(namespace)
    .env("BECALM_NAMESPACE");
}

export function jsonOption(): Option {
  return new Option("--json", "one JSON object a line on stdout");
}

/** Of every command: who reads it. */
export function readerOptions(): Option[] {
  return [
    new Option("--lang <language>", "language of what people read")
      .choices([...LANGUAGES])
      .default("en")
      .env("BECALM_LANG"),
    new Option("--tz <zone>", "time zone of what people read: utc, local, or a name such as Asia/Shanghai")
      .default("utc")
      .env("BECALM_TZ"),
  ];
}

export function readerFrom(options: Options): Reader {
  const { lang, tz } = options as { readonly lang: Language; readonly tz: string };
  const times = timesIn(tz);
  if (times !== null) return readerOf(lang, times);
  const nearest = nearestName(tz, Intl.supportedValuesOf("timeZone"));
  const meant = nearest === null ? "" : ` Did you mean ${nearest}?`;
  throw usedWrongly(`--tz ${tz} is not a time zone.${meant} Give utc, local, or a name such as Asia/Shanghai.`);
}

export function observeOption(): Option {
  return new Option("--observe", "decide and audit everything, perform no action: `mode: observe` for every policy");
}

export function logOption(): Option {
  return new Option("--log <file>", "append a JSON line per audit entry and log action; - for stderr");
}

export function reading(...more: Option[]): Option[] {
  return [...more, ...keeping("instances live"), ...serverOptions()];
}

/** `what`: what the store keeps. */
export function keeping(what: string): Option[] {
  return [jsonOption(), storeOption(what), namespaceOption()];
}

export function serverOptions(): Option[] {
  return [
    new Option("--server <url>", "ask a running `becalm serve` instead of a store").env("BECALM_SERVER"),
    new Option("--token-file <file>", "file with the token for that server").env("BECALM_TOKEN_FILE"),
  ];
}

export function countOf(flags: string, text: string, { max, fallback }: { max: number; fallback: number }): Option {
  return new Option(flags, text).default(fallback).argParser((given) => wholeNumber(given, { min: 1, max }));
}

export function wholeNumber(given: string, { min, max }: { min: number; max: number }): number {
  const count = Number(given);
  if (/^\d+$/.test(given) && count >= min && count <= max) return count;
  throw new InvalidArgumentError(`Give a whole number from ${min} to ${max}.`);
}

/** An option that may be given several times. */
export function collected(given: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), given];
}

export function positiveNumber(given: string): number {
  const factor = Number(given);
  if (given.trim() !== "" && Number.isFinite(factor) && factor > 0) return factor;
  throw new InvalidArgumentError("Give a number above 0.");
}

/**
 * The options as the command's own type, which is what the definitions above make them. Commander leaves out flags that
 * were not given. An empty address of a store, as an empty BECALM_STORE gives it, is none.
 */
export function read<Wanted>(options: Options, flags: readonly string[], more: Options = {}): Wanted {
  const given = Object.fromEntries(flags.map((name) => [name, options[name] === true]));
  return {
    ...options,
    store: options["store"] || undefined,
    server: options["server"] || undefined,
    ...given,
    ...more,
  } as Wanted;
}
