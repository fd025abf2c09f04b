/** Our page in Debian's Chromium, with a local stand-in for the hosted inspector that receives as the hosted one does. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { createServer } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import { type Browser, chromium, type Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { Engine, InspectServer } from "../../src/index.ts";
import { replay } from "../../src/index.ts";
import { commitsOf } from "../../src/inspect/history-commits.ts";
import { Player } from "../../src/inspect/player.ts";
import { ManualClock } from "../support/manual-clock.ts";
import { alertOf, type Frame, logPolicy, receive, START_MS, startEngine, startServer } from "./inspect-world.ts";

const CHROMIUM = "/usr/bin/chromium";
const why = missingChromium();
if (why !== null) console.warn(`the browser tests are left out: ${why}`);

/** Installs Chromium where that is possible; null: it is there. */
function missingChromium(): string | null {
  if (existsSync(CHROMIUM)) return null;
  if (process.getuid?.() !== 0) return `${CHROMIUM} is missing and only root can install it`;
  const { status } = spawnSync("apt-get", ["install", "-y", "--no-install-recommends", "chromium"], {
    stdio: "ignore",
  });
  return status === 0 && existsSync(CHROMIUM) ? null : `${CHROMIUM} is missing and apt-get could not install it`;
}

type StandIn = { readonly url: string; close(): void };

let browser: Browser;
let standIn: StandIn;

/** A page that receives with the package's `createBrowserReceiver` and keeps what came in `window.frames_`. */
async function startStandIn(): Promise<StandIn> {
  const entry = createRequire(import.meta.url).resolve("@statelyai/inspect");
  const source = `import { createBrowserReceiver } from ${JSON.stringify(entry)};
    window.received = [];
    createBrowserReceiver().subscribe((frame) => window.received.push(frame));`;
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: fileURLToPath(new URL("../..", import.meta.url)) },
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    logLevel: "silent",
    define: { "process.env.NODE_ENV": '"production"' },
  });
  const script = outputFiles[0]?.text ?? "";
  const server = createServer((request, response) => {
    const isScript = request.url === "/script.js";
    response.setHeader("content-type", isScript ? "text/javascript" : "text/html");
    response.end(
      isScript
        ? script
        : '<!doctype html><link rel="icon" href="data:,"><script src="/script.js"></script><p>stand-in</p>',
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/inspect`, close: () => server.close() };
}

type Opened = { readonly page: Page; readonly faults: string[]; readonly requested: string[] };

async function open(server: InspectServer): Promise<Opened> {
  const page = await browser.newPage();
  page.setDefaultTimeout(90_000);
  const faults: string[] = [];
  const requested: string[] = [];
  page.on("console", (message) => {
    if (message.type() === "error" || message.type() === "warning") faults.push(message.text());
  });
  page.on("pageerror", (error) => faults.push(String(error)));
  page.on("request", (request) => requested.push(request.url()));
  page.on("websocket", (socket) => requested.push(socket.url()));
  await page.goto(server.url);
  return { page, faults, requested };
}

async function embeddedFrames(page: Page): Promise<Frame[]> {
  const embedded = page.frames().find((frame) => frame.url() === standIn.url);
  return (await embedded?.evaluate("window.received")) as Frame[];
}

async function until(what: string, isTrue: () => Promise<boolean>): Promise<void> {
  await vi.waitUntil(isTrue, { timeout: 90_000, interval: 50 }).catch((error: unknown) => {
    throw new Error(`this never came about: ${what}`, { cause: error });
  });
}

async function ingest(engine: Engine, ...numbers: readonly number[]): Promise<string[]> {
  const { instances } = await engine.ingest(numbers.map((number) => alertOf(number)));
  for (const { id } of instances) await engine.get(id).waitFor(({ state }) => state === "Success");
  return instances.map(({ id }) => id);
}

beforeAll(async () => {
  if (why !== null) return;
  standIn = await startStandIn();
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-dev-shm-usage"] });
});

afterAll(async () => {
  await browser?.close();
  standIn?.close();
});

describe.skipIf(why !== null)("the page in Chromium", () => {
  test("hands every frame on to the embedded inspector, without an error and without a request to anybody else", async () => {
    const server = await startServer({ inspectorUrl: standIn.url });
    const engine = await startEngine([logPolicy()], { inspect: server });
    await ingest(engine, 1, 2);
    const received = receive(server.socketUrl);
    await received.count(2);
    const { page, faults, requested } = await open(server);
    await until("both are in the list", async () => (await page.locator("#rows tr").count()) === 2);
    await ingest(engine, 3, 4, 5);
    await received.count(2 + 3 * 7);
    await until("all frames", async () => (await embeddedFrames(page))?.length >= received.frames.length);
    const sorted = (frames: readonly Frame[]) => frames.map((frame) => JSON.stringify(frame)).sort();
    expect(sorted(await embeddedFrames(page))).toEqual(sorted(received.frames));
    expect(faults).toEqual([]);
    const allowed = [`127.0.0.1:${server.port}`, new URL(standIn.url).host];
    expect(requested.filter((url) => !url.startsWith("data:") && !allowed.includes(new URL(url).host))).toEqual([]);
    expect(requested.filter((url) => new URL(url).host === allowed[1] && url.includes("token"))).toEqual([]);
    await page.close();
  });

  test("gives an inspector that connects again the state of every instance", async () => {
    const server = await startServer({ inspectorUrl: standIn.url });
    const engine = await startEngine([logPolicy()], { inspect: server });
    const { page } = await open(server);
    await until("the inspector is there", async () => page.frames().length === 2);
    await ingest(engine, 1, 2, 3);
    // Rows come before what happened to their instances; only what the page knows can be told again.
    await until("all rows are at rest", async () => {
      return (await page.locator("#rows tr").filter({ hasText: "Success" }).count()) === 3;
    });
    await page.frames()[1]?.evaluate("void (window.isOld = true, setTimeout(() => location.reload(), 0))");
    await until("the inspector is a new one", async () => {
      const isOld = await page
        .frames()[1]
        ?.evaluate("window.isOld")
        .catch(() => true);
      return isOld === undefined;
    });
    await until("all states", async () => {
      const frames = await embeddedFrames(page).catch(() => []);
      return (
        new Set((frames ?? []).filter(({ type }) => type === "@xstate.actor").map(({ sessionId }) => sessionId))
          .size === 3
      );
    });
    for (const frame of await embeddedFrames(page))
      expect((frame["snapshot"] as { value: unknown }).value).toBe("Success");
    await page.close();
  });

  test("lists instances and draws their charts by itself where nothing is embedded", async () => {
    const server = await startServer({ inspectorUrl: null });
    const engine = await startEngine([logPolicy()], { inspect: server });
    const { page, faults, requested } = await open(server);
    // A viewer that comes later is told the state, not the way there.
    await until("the page is a viewer", async () => {
      await page.evaluate("0");
      return server.viewerCount === 1;
    });
    const [id] = await ingest(engine, 1);
    await until("a row that succeeded", async () => (await page.locator("#rows .Success").count()) === 1);
    await page.getByText(id as string).click();
    await until(
      "the chart",
      async () => Number(await page.evaluate('document.getElementById("chart").naturalWidth')) > 0,
    );
    expect(await page.locator("#detail-path").textContent()).toBe("Idle → Processing → Success");
    expect(faults).toEqual([]);
    expect(new Set(requested.filter((url) => !url.startsWith("data:")).map((url) => new URL(url).host))).toEqual(
      new Set([`127.0.0.1:${server.port}`]),
    );
    await page.close();
  });

  test("pauses, goes on, and plays a history again from its start", async () => {
    const engine = await startEngine([logPolicy()], {});
    const [id] = await ingest(engine, 1);
    const history = await engine.get(id as string).history();
    const server = await startServer({ inspectorUrl: null });
    const clock = new ManualClock(START_MS);
    const player = new Player(server, [commitsOf(history, replay(history).steps)], { clock, speed: 1 });
    const { page } = await open(server);
    const position = page.locator("#position");
    await until("the controls", async () => (await position.textContent())?.startsWith("0 of 2") === true);
    await page.getByRole("button", { name: "Play" }).click();
    await until("the first step", async () => (await position.textContent())?.startsWith("1 of 2") === true);
    await page.getByRole("button", { name: "Pause" }).click();
    await page.getByRole("button", { name: "Play" }).waitFor();
    clock.advance(60_000);
    expect(await page.locator("#rows .Success").count()).toBe(0);
    await page.getByRole("button", { name: "Play" }).click();
    await until("the second step", async () => {
      clock.advance(3_000);
      return (await page.locator("#rows .Success").count()) === 1;
    });
    await page.getByRole("button", { name: "Restart" }).click();
    await until("the first step again", async () => (await page.locator("#rows .Processing").count()) === 1);
    player.pause();
    await page.close();
  });
});
