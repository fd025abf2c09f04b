/** `--store bundle:PATH`: a bundle, or a folder of bundles, that is read as a store is. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { BundledInstance, BundleHeader } from "../simulate/bundle.ts";
import { bundledStore } from "../simulate/bundled-store.ts";
import type { Store } from "../stores/store.ts";
import { readBundle } from "./bundle-file.ts";
import { usedWrongly } from "./exit-codes.ts";

export const BUNDLE = "bundle:";

/** What a bundle can tell: no groups, no timers, and nothing that moves. */
const COMMANDS: readonly string[] = ["ls", "show", "policy", "replay", "audit verify"];

/**
 * Reads all of them: every line is checked before anything of it is shown. Of an instance that several hold, the latest
 * version counts.
 * @throws BECALM_BUNDLE_BROKEN at the first line that does not hold
 */
export async function bundlesAt(url: string, command: string): Promise<Store> {
  if (!COMMANDS.includes(command))
    throw usedWrongly(
      `\`becalm ${command}\` needs a store: a bundle has only histories. Of \`--store ${BUNDLE}...\` these read: ${COMMANDS.join(", ")}; \`becalm diff --from\` takes a bundle, too.`,
    );
  const files = await bundleFiles(url.slice(BUNDLE.length));
  const instances = new Map<string, BundledInstance>();
  const policies = new Map<string, string>();
  let header: BundleHeader | null = null;
  for (const file of files)
    for await (const item of readBundle(file)) {
      header ??= item.header;
      if (item.header.namespace !== header.namespace)
        throw usedWrongly(
          `The bundles are of several namespaces (${header.namespace}, ${item.header.namespace}). Read them one after the other, or from folders of their own.`,
        );
      for (const [policy, value] of item.policyTexts) policies.set(policy, value);
      const { instance } = item;
      if ((instances.get(instance.id)?.version ?? 0) < instance.version) instances.set(instance.id, instance);
    }
  return bundledStore({
    header: header ?? EMPTY,
    instances: [...instances.values()],
    policies: [...policies].map(([policy, value]) => ({ policy, value })),
  });
}

const EMPTY: BundleHeader = { becalm: "bundle", format: 1, namespace: "", exportedAtMs: 0, redacted: [] };

async function bundleFiles(path: string): Promise<readonly string[]> {
  const found = await stat(path).catch(() => null);
  if (found?.isDirectory() !== true) return [path];
  const files = (await readdir(path)).filter((name) => name.endsWith(".bundle")).sort();
  if (files.length === 0) throw usedWrongly(`The folder ${path} has no bundles: files whose names end with .bundle.`);
  return files.map((name) => join(path, name));
}
