/** A real Alertmanager on a free loopback port, where there is one to start; stopped by pid, its directory removed. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

export type AlertmanagerServer = { readonly url: string; stop(): Promise<void> };

/** Debian's name, and that of the releases. */
const PROGRAMS = ["prometheus-alertmanager", "alertmanager"];
const READY_MS_MAX = 60_000;

/** null: none is installed. */
export function installedAlertmanager(): string | null {
  return PROGRAMS.find((program) => spawnSync(program, ["--version"]).error === undefined) ?? null;
}

export async function startAlertmanager(program: string): Promise<AlertmanagerServer> {
  const dir = await mkdtemp(join(tmpdir(), "becalm-alertmanager-"));
  const config = join(dir, "alertmanager.yml");
  await writeFile(config, "route: { receiver: nobody }\nreceivers: [{ name: nobody }]\n");
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const args = [`--config.file=${config}`, `--storage.path=${dir}/data`, `--web.listen-address=127.0.0.1:${port}`];
  const child = spawn(program, [...args, "--cluster.listen-address="], { stdio: "ignore" });
  const stop = () => stopped(child, dir);
  const killAtExit = () => child.kill("SIGKILL");
  process.once("exit", killAtExit);
  try {
    await ready(url, child);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, stop: () => stop().finally(() => process.off("exit", killAtExit)) };
}

async function ready(url: string, child: ChildProcess): Promise<void> {
  const untilMs = Date.now() + READY_MS_MAX;
  while (Date.now() < untilMs && child.exitCode === null) {
    const answer = await fetch(`${url}/-/ready`).catch(() => null);
    if (answer?.ok === true) return;
    await delay(50);
  }
  throw new Error(`Alertmanager at ${url} did not become ready (exit code ${child.exitCode})`);
}

async function stopped(child: ChildProcess, dir: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGKILL");
    await once(child, "exit");
  }
  await rm(dir, { recursive: true, force: true });
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
