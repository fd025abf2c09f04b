/**
 * An export of many instances, checked where there is no store: `npm run build && node scripts/run-ts.mjs
 * scripts/export-figures.ts`.
 *
 * `becalm run` makes 100,000 instances (`--instances N`) in an lmdb store, `becalm export` writes them to a bundle, and
 * the store is removed. In an empty folder the bundle is then verified and replayed; and for single bytes all over it,
 * one changed at a time, `audit verify` must fail and name the line.
 */
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  closeSync,
  createWriteStream,
  mkdirSync,
  mkdtempSync,
  openSync,
  readSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { finished } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const COMMAND = fileURLToPath(new URL("../dist/src/cli/main.js", import.meta.url));
const REQUEST = 100;
const BEGAN_AT_MS = Date.parse("2026-11-23T00:00:00Z");
/** Where bytes are changed, as parts of the file: its first line, its last, and between them. */
const PLACES = [0, 0.001, 0.13, 0.37, 0.5, 0.71, 0.93, 0.999_999, 1];

const POLICIES = `policies:
  - name: restart-host
    match: []
    action: { log: {} }
    converge: { function: skip_when_exceed, by: [cluster], count: 3, window: 10m }
    retry: { limit: 1, delay: 10s }
`;

const { values } = parseArgs({ options: { instances: { type: "string", default: "100000" } } });
const instances = Number(values.instances);
const folder = mkdtempSync(join(tmpdir(), "becalm-export-"));
const elsewhere = join(folder, "elsewhere");
mkdirSync(elsewhere);
try {
  await make();
  check();
  changeBytes();
} finally {
  rmSync(folder, { recursive: true });
}

async function make(): Promise<void> {
  writeFileSync(join(folder, "policies.yaml"), POLICIES);
  await writeAlerts(join(folder, "alerts.jsonl"));
  const store = ["--store", "lmdb:store"];
  const run = ["run", "--policies", "policies.yaml", "--alerts", "alerts.jsonl", "--quiet", ...store];
  timed("run", run, folder);
  timed("export", ["export", "--out", "all.bundle", ...store], folder);
  renameSync(join(folder, "all.bundle"), join(elsewhere, "all.bundle"));
  rmSync(join(folder, "store"), { recursive: true });
  console.log(`bundle: ${Math.round(statSync(join(elsewhere, "all.bundle")).size / 1e6)} MB`);
}

function check(): void {
  const verified = timed("audit verify --file", ["audit", "verify", "--file", "all.bundle", "--json"], elsewhere);
  const replayed = timed("replay --file", ["replay", "--file", "all.bundle", "--json"], elsewhere);
  console.log(`verified ${lastLine(verified)}\nreplayed ${lastLine(replayed)}`);
}

function changeBytes(): void {
  const path = join(elsewhere, "all.bundle");
  const last = statSync(path).size - 1;
  for (const part of PLACES) {
    // Never the line break at the end: a bundle without it is whole.
    const place = Math.min(Math.floor(last * part), last - 1);
    const line = lineOf(path, place);
    const original = changeByte(path, place, (byte) => byte ^ 1);
    const { status, output } = becalm(["audit", "verify", "--file", "all.bundle"], elsewhere);
    changeByte(path, place, () => original);
    const named = Number(/[Ll]ine (\d+)/.exec(output)?.[1]);
    // A changed line break joins two lines, or cuts one.
    const isFound = status === 1 && (named === line || named === line + 1);
    console.log(`byte ${place}, line ${line}: exit ${status}, line ${named} named: ${isFound ? "found" : "MISSED"}`);
    if (!isFound) process.exitCode = 1;
  }
  const { status } = becalm(["audit", "verify", "--file", "all.bundle"], elsewhere);
  if (status !== 0) throw new Error("the bundle was not put back as it was");
}

/** Gives the byte that was there. */
function changeByte(path: string, place: number, change: (byte: number) => number): number {
  const file = openSync(path, "r+");
  const byte = Buffer.alloc(1);
  readSync(file, byte, 0, 1, place);
  const original = byte[0] ?? 0;
  writeSync(file, Buffer.from([change(original)]), 0, 1, place);
  closeSync(file);
  return original;
}

/** The number of the line in which a byte stands, from 1. */
function lineOf(path: string, place: number): number {
  const file = openSync(path, "r");
  const piece = Buffer.alloc(1 << 20);
  let line = 1;
  for (let at = 0; at < place; ) {
    const read = readSync(file, piece, 0, Math.min(piece.length, place - at), at);
    for (let index = 0; index < read; index += 1) if (piece[index] === 0x0a) line += 1;
    at += read;
  }
  closeSync(file);
  return line;
}

function timed(name: string, args: readonly string[], cwd: string): string {
  const began = performance.now();
  const { status, output } = becalm(args, cwd);
  if (status !== 0) throw new Error(`becalm ${name} ended with ${status}: ${output}`);
  console.log(`${name}: ${((performance.now() - began) / 1_000).toFixed(1)} s`);
  return output;
}

/** Nothing of the environment says where a store may be. */
function becalm(args: readonly string[], cwd: string): { status: number | null; output: string } {
  const { PATH } = process.env;
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
    cwd,
    env: { PATH },
    encoding: "utf8",
    maxBuffer: 1 << 30,
  });
  return { status, output: `${stderr}${stdout}` };
}

function lastLine(text: string): string {
  return text.trim().split("\n").at(-1) ?? "";
}

async function writeAlerts(path: string): Promise<void> {
  const stream = createWriteStream(path);
  for (let from = 0; from < instances; from += REQUEST) {
    const receivedAt = new Date(BEGAN_AT_MS + from * 100).toISOString();
    const alerts = Array.from({ length: Math.min(REQUEST, instances - from) }, (_, index) => alertOf(from + index));
    const line = JSON.stringify({ receivedAt, path: "/v1/alerts", body: { version: "4", status: "firing", alerts } });
    if (!stream.write(`${line}\n`)) await once(stream, "drain");
  }
  stream.end();
  await finished(stream);
}

function alertOf(index: number): object {
  return {
    status: "firing",
    labels: { alertname: "InstanceDown", cluster: `cluster-${index % 97}`, instance: `host-${index}`, job: "node" },
    annotations: { summary: `host-${index} is down` },
    startsAt: new Date(BEGAN_AT_MS + index * 100).toISOString(),
  };
}
