/**
 * What retention removes is written before: a page of instances becomes one bundle in a folder, on the disk before it
 * has its name, and only then the page goes.
 *
 * Several processes may write to one folder: no two files have the same name.
 */
import { randomUUID } from "node:crypto";
import { open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { birthOf } from "./instance/audit.ts";
import { BecalmError, messageOf } from "./model/errors.ts";
import type { InstanceReader } from "./runtime/instance-reader.ts";
import type { RemovedPage } from "./runtime/workers/retention.ts";
import type { RemovedExport } from "./runtime/workers/retention-pump.ts";
import { BundleWriter } from "./simulate/bundle.ts";
import { type StoredHistory, UnwrittenNames, UnwrittenPolicies, withEnds } from "./simulate/stored-bundle.ts";
import type { StoredInstance } from "./stores/store.ts";
import type { Logger } from "./system/logger.ts";

export type RemovedBundles = {
  /** Must exist. */
  readonly folder: string;
  /** As the bundles' headers name it. */
  readonly namespace: string;
};

const READ_AT_ONCE = 32;

/** Gives what writes a page of removed instances into a bundle of its own. */
export function removedBundles(
  reader: InstanceReader,
  { folder, namespace }: RemovedBundles,
  logger: Logger,
): RemovedExport {
  const write = async (page: RemovedPage) => {
    const exportedAtMs = reader.runtime.clock.now();
    const read = await withEnds(reader, await readPage(reader, page, logger), exportedAtMs);
    if (read.length === 0) return new Set<string>();
    const lines = await bundleLines(reader, read, { namespace, exportedAtMs });
    await writeWhole(folder, fileName(page.partition, exportedAtMs), lines);
    return new Set(read.map(({ id }) => id));
  };
  return { write, to: folder };
}

/** Without those that moved on or went while they were read, and those that cannot be read: they stay. */
async function readPage(
  reader: InstanceReader,
  { partition, instances }: RemovedPage,
  logger: Logger,
): Promise<StoredHistory[]> {
  const read: StoredHistory[] = [];
  for (let start = 0; start < instances.length; start += READ_AT_ONCE) {
    const some = instances.slice(start, start + READ_AT_ONCE);
    const found = await Promise.all(some.map((stored) => readOne(reader, stored, logger)));
    read.push(...found.filter((one) => one !== null));
  }
  const { store } = reader.runtime;
  const now = await store.load({ partition, groupId: null, instanceIds: read.map(({ id }) => id) });
  return read.filter(({ id, version }) => now.instances.get(id)?.version === version);
}

async function readOne(
  reader: InstanceReader,
  { id, version, value }: StoredInstance,
  logger: Logger,
): Promise<StoredHistory | null> {
  const lines = await reader.runtime.store.history(id);
  if (lines === null) return null;
  try {
    birthOf(id, lines);
  } catch (error) {
    if (!(error instanceof BecalmError) || error.code !== "BECALM_HISTORY_BROKEN") throw error;
    logger.error({ err: error, instance: id }, `retention: ${id} stays, it cannot be exported: ${messageOf(error)}`);
    return null;
  }
  return { id, version, checkpoint: value, lines };
}

async function bundleLines(
  reader: InstanceReader,
  read: readonly StoredHistory[],
  header: { readonly namespace: string; readonly exportedAtMs: number },
): Promise<string[]> {
  const bundle = new BundleWriter([]);
  const policies = new UnwrittenPolicies(reader.runtime.store);
  const names = new UnwrittenNames(reader);
  const lines = [bundle.header({ ...header, partitions: reader.runtime.partitions })];
  for (const one of read) {
    const policy = await policies.of(birthOf(one.id, one.lines));
    if (policy !== null) lines.push(bundle.policy(policy));
    lines.push(bundle.instance(await names.with(one)));
  }
  return [...lines, bundle.end()];
}

/** In the order of time when they are sorted. */
function fileName(partition: number, atMs: number): string {
  const time = new Date(atMs).toISOString().replaceAll(/[:.]/g, "-");
  return `removed-${time}-p${String(partition).padStart(2, "0")}-${randomUUID().slice(0, 8)}.bundle`;
}

/** The file is on the disk before it has its name, and its name is on the disk when this resolves. */
async function writeWhole(folder: string, name: string, lines: readonly string[]): Promise<void> {
  const path = join(folder, name);
  const part = `${path}.part`;
  try {
    const file = await open(part, "wx");
    try {
      for (const line of lines) await file.writeFile(`${line}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(part, path);
    await syncFolder(folder);
  } catch (error) {
    await rm(part, { force: true }).catch(() => {});
    const what = `${path} cannot be written: ${messageOf(error)}. What it should hold was not removed. Make room, or make the folder writable: the next sweep tries again.`;
    throw new BecalmError("BECALM_OUTPUT_FAILED", what, { cause: error, details: { path } });
  }
}

/** Windows has no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
