/** Debian's prometheus, prometheus-alertmanager, amtool and promtool: the real programs that Becalm stands beside. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

const PACKAGES = ["prometheus", "prometheus-alertmanager"];
const PROGRAMS = ["prometheus", "prometheus-alertmanager", "amtool", "promtool"];

function isThere(program: string): boolean {
  return spawnSync(program, ["--version"], { stdio: "ignore" }).status === 0;
}

function areThere(): boolean {
  return PROGRAMS.every(isThere);
}

/** Why the programs are missing, or null. Installs them with apt-get where that is possible. */
export function whyMissing(): string | null {
  if (areThere()) return null;
  if (process.getuid?.() !== 0 || spawnSync("apt-get", ["--version"], { stdio: "ignore" }).status !== 0)
    return "prometheus and prometheus-alertmanager are not installed, and apt-get is not there to install them";
  const options = { stdio: "ignore", env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } } as const;
  spawnSync("apt-get", ["update", "-qq"], options);
  spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", ...PACKAGES], options);
  return areThere() ? null : "prometheus and prometheus-alertmanager could not be installed with apt-get";
}

/** Skips with a printed reason. */
export function skipUnlessThere(): boolean {
  const why = whyMissing();
  if (why !== null) console.warn(`skipped: ${why}`);
  return why !== null;
}

export type RunningProgram = {
  readonly url: string;
  readonly folder: string;
  /** Replaces files and makes the program read them. */
  reload(files: Readonly<Record<string, string>>): void;
  stop(): Promise<void>;
};

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

type Start = {
  readonly program: string;
  readonly files: Readonly<Record<string, string>>;
  readonly args: (folder: string, port: number) => readonly string[];
};

async function start({ program, files, args }: Start): Promise<RunningProgram> {
  const folder = mkdtempSync(join(tmpdir(), `becalm-${program}-`));
  for (const [name, content] of Object.entries(files)) writeFileSync(join(folder, name), content);
  const port = await freePort();
  const child = spawn(program, args(folder, port), { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.setEncoding("utf8").on("data", (piece: string) => {
    said = (said + piece).slice(-4_000);
  });
  const killWithParent = () => child.kill("SIGKILL");
  process.once("exit", killWithParent);
  const ended = once(child, "exit");
  const url = `http://127.0.0.1:${port}`;
  await untilReady(
    `${url}/-/ready`,
    () => child.exitCode !== null,
    () => said,
  );
  const stop = async () => {
    process.removeListener("exit", killWithParent);
    child.kill("SIGTERM");
    const killer = setTimeout(() => child.kill("SIGKILL"), 5_000);
    await ended;
    clearTimeout(killer);
    rmSync(folder, { recursive: true, force: true });
  };
  const reload = (changed: Readonly<Record<string, string>>) => {
    for (const [name, content] of Object.entries(changed)) writeFileSync(join(folder, name), content);
    child.kill("SIGHUP");
  };
  return { url, folder, reload, stop };
}

const READY_MS_MAX = 60_000;

async function untilReady(url: string, hasEnded: () => boolean, said: () => string): Promise<void> {
  const untilMs = Date.now() + READY_MS_MAX;
  for (;;) {
    const isReady = await fetch(url).then(
      ({ ok }) => ok,
      () => false,
    );
    if (isReady) return;
    if (hasEnded() || Date.now() > untilMs) throw new Error(`${url} did not become ready: ${said()}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

export function startAlertmanager(config: string): Promise<RunningProgram> {
  return start({
    program: "prometheus-alertmanager",
    files: { "alertmanager.yml": config },
    args: (folder, port) => [
      `--config.file=${folder}/alertmanager.yml`,
      `--storage.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--cluster.listen-address=",
    ],
  });
}

export function startPrometheus(config: string, rules: string): Promise<RunningProgram> {
  return start({
    program: "prometheus",
    files: { "prometheus.yml": config, "rules.yml": rules },
    args: (folder, port) => [
      `--config.file=${folder}/prometheus.yml`,
      `--storage.tsdb.path=${folder}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--rules.alert.resend-delay=1s",
      "--log.level=warn",
    ],
  });
}

/** Runs a program to its end; its output as text. */
export function runProgram(
  program: string,
  args: readonly string[],
  input = "",
): { code: number | null; stdout: string; stderr: string } {
  const { status, stdout, stderr } = spawnSync(program, [...args], { input, encoding: "utf8" });
  return { code: status, stdout, stderr };
}
