/** `--store bundle:PATH`: a bundle, or a folder of bundles, that is read as a store is. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { BundledInstance, BundleHeader } from "../simulate/bundle.ts";
import { bundledClock, bundledStore } from "../simulate/bundled-store.ts";
import type { Store } from "../stores/store.ts";
import type { Clock } from "../system/clock.ts";
import { readBundle } from "./bundle-file.ts";
import { usedWrongly } from "./exit-codes.ts";

export const BUNDLE = "bundle:";

/** What asks for no more than histories: a bundle has no groups, no timers, and nothing that moves. */
const COMMANDS = [
  "ls",
  "show",
  "policy",
  "report",
  "replay",
  "fork",
  "diff --from-store",
  "inspect",
  "audit verify",
] as const;

/** @throws BECALM_ARGUMENT_INVALID, with the names of those that read bundles, if this command does not */
function requireReading(command: string): void {
  if (COMMANDS.some((name) => name === command)) return;
  throw usedWrongly(`\`becalm ${command}\` needs a store: a bundle has only histories. ${READING}`);
}

export const READING = `These read \`--store ${BUNDLE}PATH\`: ${COMMANDS.join(", ")}.`;

/** `clock`: stands where the last of the bundles was exported. */
export type BundledStore = { readonly store: Store; readonly clock: Clock };

/**
 * Reads all of them: every line is checked before anything of it is shown. Of an instance that several hold, the latest
 * version counts.
 * @throws BECALM_BUNDLE_BROKEN at the first line that does not hold
 */
export async function bundlesAt(url: string, command: string): Promise<BundledStore> {
  requireReading(command);
  const files = await bundleFiles(url.slice(BUNDLE.length));
  const instances = new Map<string, BundledInstance>();
  const policies = new Map<string, string>();
  const processes = new Map<string, string>();
  let header: BundleHeader | null = null;
  for (const file of files)
    for await (const item of readBundle(file)) {
      header = together(header ?? item.header, item.header);
      for (const [policy, value] of item.policyTexts) policies.set(policy, value);
      const { instance } = item;
      for (const [id, name] of Object.entries(instance.processes ?? {})) processes.set(id, name);
      if ((instances.get(instance.id)?.version ?? 0) < instance.version) instances.set(instance.id, instance);
    }
  const store = bundledStore({
    header: header ?? EMPTY,
    instances: [...instances.values()],
    policies: [...policies].map(([policy, value]) => ({ policy, value })),
    processes,
  });
  return { store, clock: bundledClock(header ?? EMPTY) };
}

/** The header of bundles that are read as one: it is of the last of them. */
function together(before: BundleHeader, header: BundleHeader): BundleHeader {
  if (header.namespace !== before.namespace)
    throw usedWrongly(
      `The bundles are of several namespaces (${before.namespace}, ${header.namespace}). Read them one after the other, or from folders of their own.`,
    );
  return header.exportedAtMs < before.exportedAtMs ? before : header;
}

const EMPTY: BundleHeader = { becalm: "bundle", format: 1, namespace: "", exportedAtMs: 0, redacted: [] };

async function bundleFiles(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory() !== true) return [path];
  const files = (await readdir(path)).filter((name) => name.endsWith(".bundle")).sort();
  if (files.length === 0) throw usedWrongly(`The folder ${path} has no bundles: files whose names end with .bundle.`);
  return files.map((name) => join(path, name));
}
