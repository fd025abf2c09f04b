/**
 * `becalm doctor`: what a namespace and its store are like, what is stuck in it, and what to change. It changes nothing
 * itself, but with `--raise-format`, which brings a namespace of an earlier version up to date, and with
 * `--allow-unexported-removal`, which takes away the mark that what is removed is exported.
 */
import { hostname } from "node:os";
import { isoTime } from "../model/timestamp.ts";
import { count } from "../present/text-table.ts";
import { clockFinding, healthOf } from "../runtime/namespace-health.ts";
import { readMembers } from "../runtime/owners/membership.ts";
import { namesBehind, raiseFormat } from "../runtime/raise-format.ts";
import type { Runtime } from "../runtime/runtime.ts";
import { allowUnexported, namespaceMark } from "../runtime/workers/export-mark.ts";
import { type Finding, RAISED_FORMAT } from "../stores/store.ts";
import { EXIT } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type DoctorOptions = StoreOptions & {
  readonly raiseFormat: boolean;
  readonly allowUnexportedRemoval: boolean;
  readonly json: boolean;
};

export async function doctor(terminal: Terminal, options: DoctorOptions): Promise<number> {
  return withReading(options, "doctor", async ({ runtime }) => {
    let isWell = true;
    const tellAll = async (findings: readonly Finding[]): Promise<void> => {
      for (const finding of findings) {
        isWell &&= finding.advice === undefined;
        await tell(terminal, finding, options.json);
      }
    };
    await tellAll([namespaceOf(runtime, options.namespace)]);
    await tellAll([options.raiseFormat ? await raisedFormat(runtime) : await formatOf(runtime)]);
    await tellAll(options.allowUnexportedRemoval ? [await unexportedFrom(runtime)] : await exportsOf(runtime));
    await tellAll((await runtime.store.describe()).findings);
    // A server compares its clock itself.
    if (options.server === undefined) await tellAll([await clockOf(runtime)]);
    // What is due in virtual time is due when its next run says so.
    if (runtime.mode === "live") await tellAll(await healthOf(runtime, Date.now()));
    return isWell ? EXIT.done : EXIT.failed;
  });
}

function namespaceOf({ mode, partitions, versions }: Runtime, namespace: string): Finding {
  const parts = count(partitions, "partition", "partitions");
  const known = count(versions.size, "version of a policy", "versions of policies");
  return { what: "namespace", is: `${namespace}, ${mode}, ${parts}, ${known}` };
}

async function clockOf({ store }: Runtime): Promise<Finding> {
  const sentAtMs = Date.now();
  const { clocks } = await store.pulse();
  return clockFinding(clocks, sentAtMs, Date.now());
}

async function formatOf({ store, format: { acting: format } }: Runtime): Promise<Finding> {
  const what = "format";
  const living = (await store.processes?.living().catch(() => [])) ?? [];
  if (format < RAISED_FORMAT) {
    const behind = namesBehind(living, RAISED_FORMAT);
    const first = behind.length === 0 ? "" : `bring ${behind.join(", ")} to this version; `;
    return {
      what,
      is: `${format}, made by an earlier version: listing by state reads every instance, and another startsAt makes another alert`,
      advice: `${first}when no engine of an earlier version works on it any longer, run \`becalm doctor --raise-format\``,
    };
  }
  const late = readMembers(living).flatMap(({ record }) => (record.format < format ? record.name : []));
  if (late.length === 0) return { what, is: String(format) };
  return {
    what,
    is: `${format}, and ${late.join(", ")} decides by an earlier one`,
    advice: "look again in a moment; stop whoever stays behind, for what reaches it may be acted on twice",
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

/** Nothing where nobody ever exported. */
async function exportsOf(runtime: Runtime): Promise<Finding[]> {
  const what = "exports";
  const mark = await namespaceMark(runtime);
  if (mark === null) return [];
  const since = `since ${isoTime(mark.sinceMs)} (${mark.by})`;
  if (!mark.isExported) return [{ what, is: `what is removed is no longer exported, ${since}` }];
  const is = `what is removed is exported to ${mark.to ?? "an archive"}, ${since}`;
  const living = readMembers((await runtime.store.processes?.living().catch(() => [])) ?? []);
  const engines = living.filter(({ record }) => record.isWorker !== true);
  if (engines.length === 0 || engines.some(({ record }) => record.exports === true)) return [{ what, is }];
  const advice =
    "no engine that runs exports, so nothing is removed and the store grows: start them with `--export-removed`; or, if no export is wanted any longer, run `becalm doctor --allow-unexported-removal`";
  return [{ what, is, advice }];
}

async function unexportedFrom(runtime: Runtime): Promise<Finding> {
  const what = "exports";
  const mark = await allowUnexported(runtime, `becalm doctor on ${hostname()}`);
  if (mark === null) return { what, is: "nothing said that removals are exported" };
  const was = `${mark.by} had exported to ${mark.to ?? "an archive"} since ${isoTime(mark.sinceMs)}`;
  return { what, is: `from now on every engine may remove without an export; ${was}` };
}

async function tell(terminal: Terminal, { what, is, advice }: Finding, isJson: boolean): Promise<void> {
  if (isJson) return terminal.json({ what, is, ...(advice === undefined ? {} : { advice }) });
  const { green, yellow } = terminal.outColors;
  const mark = advice === undefined ? green("✓") : yellow("!");
  await terminal.out(`${mark} ${what}: ${is}${advice === undefined ? "" : `; ${advice}`}`);
}
