/** `becalm demo --serve`: the captured storm, sent into a server on loopback while somebody watches the console. */
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BecalmError } from "../model/errors.ts";
import { RETENTION_MS_DEFAULT } from "../model/limits.ts";
import { packageFile } from "./package-files.ts";
import { serve } from "./serve.ts";
import type { Terminal } from "./terminal.ts";

export type ServedDemoOptions = { readonly listen: string; readonly speed: number };

const DRAIN_MS = 5_000;
const BODY_BYTES_MAX = 32 * 1_024 * 1_024;

type Request = { readonly atMs: number; readonly body: readonly Alert[] };
type Alert = { readonly startsAt?: string; readonly endsAt?: string };

/** The policies only write log lines. Everything is kept in a temporary folder, which is removed at the end. */
export async function servedDemo(terminal: Terminal, { listen, speed }: ServedDemoOptions): Promise<number> {
  const folder = await mkdtemp(join(tmpdir(), "becalm-demo-"));
  const ended = new AbortController();
  const options = {
    policies: packageFile("demo/policies.yaml"),
    listen,
    store: `lmdb:${join(folder, "store")}`,
    namespace: "demo",
    insecureListen: false,
    allowExec: false,
    observe: false,
    leaveEffects: false,
    raiseFormat: false,
    maxBodyBytes: BODY_BYTES_MAX,
    watch: false,
    log: join(folder, "log.jsonl"),
    concurrency: 16,
    drainMs: DRAIN_MS,
    requestMs: DRAIN_MS,
    retentionMs: RETENTION_MS_DEFAULT,
  };
  let storm: Promise<void> = Promise.resolve();
  // Only the server itself says where it is: at the address asked for there may be another one, which would act.
  const begin = (url: string) => {
    storm = sendStorm(terminal, { url, speed, signal: ended.signal });
    storm.catch(() => {});
  };
  try {
    const code = await serve(terminal, options, begin).finally(() => ended.abort());
    await storm;
    return code;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

type Sending = { readonly url: string; readonly speed: number; readonly signal: AbortSignal };

async function sendStorm(terminal: Terminal, { url, speed, signal }: Sending): Promise<void> {
  const requests = await readStorm();
  const firstMs = requests[0]?.atMs ?? 0;
  const beganMs = Date.now();
  terminal.note(
    terminal.say(
      `Open ${url} in a browser. A captured storm arrives, ${speed} times as fast as it was; Ctrl-C ends.`,
      `请在浏览器中打开 ${url}。录制的告警风暴将以 ${speed} 倍速到达；按 Ctrl-C 结束。`,
    ),
  );
  for (const { atMs, body } of requests) {
    await pauseMs(beganMs + (atMs - firstMs) / speed - Date.now(), signal);
    if (signal.aborted) return;
    // Times are moved to now: the rules' windows and the alerts' ends fit the pace at which they arrive.
    const shifted = body.map((alert) => ({ ...alert, ...movedTo(alert, { atMs, nowMs: Date.now() }) }));
    await post(`${url}/api/v2/alerts`, shifted, signal);
  }
  terminal.note(
    terminal.say("The storm is over. The server runs until Ctrl-C.", "风暴已结束。服务器继续运行，直到按 Ctrl-C。"),
  );
}

async function readStorm(): Promise<Request[]> {
  const text = await readFile(packageFile("demo/storm.jsonl"), "utf8");
  return text
    .trim()
    .split("\n")
    .map((line) => {
      const { receivedAt, body } = JSON.parse(line) as { receivedAt: string; body: readonly Alert[] };
      return { atMs: Date.parse(receivedAt), body };
    });
}

function movedTo({ startsAt, endsAt }: Alert, { atMs, nowMs }: { atMs: number; nowMs: number }): Alert {
  const moved = (time: string) => new Date(Date.parse(time) - atMs + nowMs).toISOString();
  return {
    ...(startsAt === undefined ? {} : { startsAt: moved(startsAt) }),
    ...(endsAt === undefined ? {} : { endsAt: moved(endsAt) }),
  };
}

async function post(url: string, body: unknown, signal: AbortSignal): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(url, { method: "POST", headers, body: JSON.stringify(body), signal }).catch(() => null);
  if (response === null || response.ok || signal.aborted) return;
  throw new BecalmError(
    "BECALM_ALERT_INVALID",
    `The server refused the storm with ${response.status}. Its log says why.`,
  );
}

function pauseMs(delayMs: number, signal: AbortSignal): Promise<void> {
  if (delayMs <= 0 || signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, delayMs);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
