// How quick the console is in a storm: 10,000 instances in the list and 100 alerts a second, in Chromium.
//   node scripts/console-load.mjs [--instances 10000] [--rate 100] [--minutes 5] [--page long,instances,storm,instance]
// Prints for each page how long its interactions took until the picture after them (median, p95, worst) and how the
// page's memory moved. Needs a build (npm run build) and Chromium (BECALM_CHROMIUM, or /usr/bin/chromium). Server,
// storm and browser share this machine.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const BATCH = 250;
const INTERACTION_EVERY_MS = 400;

const { values } = parseArgs({
  options: {
    instances: { type: "string", default: "10000" },
    rate: { type: "string", default: "100" },
    minutes: { type: "string", default: "5" },
    page: { type: "string", default: "long,instances,storm,instance" },
  },
});
const [count, rate, minutes] = [values.instances, values.rate, values.minutes].map(Number);
const pages = values.page.split(",");

const POLICIES = `
policies:
  - name: shed-load
    match: ['alertname="HighErrorRate"']
    action: { log: {} }
    converge: { function: skip_when_exceed, by: [cluster], count: 3, window: 5m }
  - name: restart-host
    match: ['alertname="InstanceDown"']
    action: { log: {} }
    converge: { function: defense, by: [cluster], count: 1, window: 1h }
`;

function ready() {
  return new Promise((resolve, reject) => {
    let said = "";
    server.stderr.setEncoding("utf8").on("data", (piece) => {
      if (said.length < 10_000) said += piece;
      const url = /^becalm: listening on (\S+)$/m.exec(said)?.[1];
      if (url !== undefined) resolve(url);
    });
    server.once("close", () => reject(new Error(`becalm serve ended: ${said}`)));
  });
}

function alerts(from, length) {
  return Array.from({ length }, (_, index) => {
    const number = from + index;
    const labels = {
      cluster: `c${number % 7}`,
      instance: `host-${number}`,
      rack: `r${number % 31}`,
      severity: "warning",
    };
    return { labels: { alertname: number % 50 === 0 ? "InstanceDown" : "HighErrorRate", ...labels } };
  });
}

async function send(url, body) {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/api/v2/alerts`, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
}

/** New alerts, four times a second, until it is ended. */
function follow(url) {
  let next = count;
  const each = Math.round(rate / 4);
  const timer = setInterval(() => {
    next += each;
    void send(url, alerts(next, each)).catch((error) => console.error(error.message));
  }, 250);
  return { end: () => clearInterval(timer) };
}

const INTERACTIONS = {
  /** The list with all rows read, somewhere in it. */
  long: [
    (page) => page.mouse.wheel(0, 20_000),
    (page) => page.keyboard.press("PageDown"),
    (page) => page.mouse.wheel(0, -30_000),
    (page) => page.keyboard.press("End"),
    (page) => page.mouse.wheel(0, -250_000),
    (page) => page.keyboard.press("PageUp"),
    (page) => page.locator("a.id").nth(10).focus(),
    (page) => page.keyboard.press("ArrowDown"),
  ],
  /** Down through all rows, filters, and back to the top. */
  instances: [
    (page) => page.mouse.wheel(0, 3_000),
    (page) => page.mouse.wheel(0, 3_000),
    (page) => page.keyboard.press("PageDown"),
    (page) => page.mouse.wheel(0, -2_000),
    (page) => page.keyboard.press("End"),
    (page) => page.locator("select").nth(0).selectOption("Skipped"),
    (page) => page.locator("select").nth(0).selectOption(""),
    (page) => page.locator(".typed input").press("h"),
    (page) => page.locator(".typed input").press("Backspace"),
  ],
  storm: [
    (page) => page.mouse.move(500, 400),
    (page) => page.mouse.wheel(0, 300),
    (page) => page.mouse.wheel(0, -300),
    (page) => page.keyboard.press("Tab"),
    (page) => page.locator(".language").click(),
  ],
  instance: [
    (page) => page.locator(".slider button").nth(0).click({ force: true }),
    (page) => page.locator(".slider button").nth(1).click({ force: true }),
    (page) => page.locator(".context summary").click(),
    (page) => page.mouse.wheel(0, 400),
    (page) => page.mouse.wheel(0, -400),
    (page) => page.locator(".widen").click(),
  ],
};

/**
 * Each interaction: from the event's own time until the picture after it, as the browser's Event Timing says, and for
 * scrolling, which has no such entry, the longest frame meanwhile. Memory: after a collection.
 */
async function measure(url, name, ms) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const hash =
    name === "instance" ? `#/instances/${await waitingId(url)}` : `#/${name === "long" ? "instances" : name}`;
  await page.goto(`${url}/${hash}`);
  await page.locator("main section").first().waitFor();
  if (name === "long") await readAll(page);
  await page.evaluate(watchPage);
  const heaps = [];
  const endsMs = Date.now() + ms;
  for (let turn = 0; Date.now() < endsMs; turn += 1) {
    const steps = INTERACTIONS[name];
    await page.evaluate(() => globalThis.beginFrames());
    await steps[turn % steps.length](page);
    await pause(INTERACTION_EVERY_MS);
    await page.evaluate(() => globalThis.endFrames());
    if (turn % 20 === 0) heaps.push(await heapMb(page));
  }
  heaps.push(await heapMb(page));
  const took = await page.evaluate(() => globalThis.took);
  const nodes = await page.evaluate(() => document.querySelectorAll("*").length);
  await page.close();
  return { took, heaps, nodes };
}

/** Down to the oldest row that was there at the beginning. */
async function readAll(page) {
  const rowCount = async () => Number.parseInt((await page.locator(".title [role=status]").textContent()) ?? "0", 10);
  const beganMs = Date.now();
  while ((await rowCount()) < count && Date.now() - beganMs < 90_000) {
    await page.keyboard.press("End");
    await pause(20);
  }
  console.log(`           ${await rowCount()} rows read in ${((Date.now() - beganMs) / 1_000).toFixed(1)} s`);
}

async function waitingId(url) {
  const { instances } = await (await fetch(`${url}/v1/instances?state=Waiting&limit=1`)).json();
  return instances[0].id;
}

function watchPage() {
  globalThis.took = [];
  new PerformanceObserver((list) => {
    for (const { duration, interactionId } of list.getEntries()) if (interactionId > 0) globalThis.took.push(duration);
  }).observe({ type: "event", durationThreshold: 16, buffered: true });
  let [before, longest, isMeasuring] = [0, 0, false];
  const frame = (atMs) => {
    if (!isMeasuring) return;
    longest = Math.max(longest, atMs - before);
    before = atMs;
    requestAnimationFrame(frame);
  };
  globalThis.beginFrames = () => {
    [before, longest, isMeasuring] = [performance.now(), 0, true];
    requestAnimationFrame(frame);
  };
  globalThis.endFrames = () => {
    isMeasuring = false;
    globalThis.took.push(longest);
  };
}

async function heapMb(page) {
  const { usedJSHeapSize } = await page.evaluate(() => {
    globalThis.gc?.();
    return { usedJSHeapSize: performance.memory.usedJSHeapSize };
  });
  return usedJSHeapSize / 1_048_576;
}

function report(name, { took, heaps, nodes }) {
  const sorted = took.toSorted((a, b) => a - b);
  const at = (part) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))]?.toFixed(0);
  const thirds = [heaps.slice(0, heaps.length / 3), heaps.slice(-Math.ceil(heaps.length / 3))];
  const [early, late] = thirds.map((some) =>
    (some.reduce((sum, mb) => sum + mb, 0) / Math.max(some.length, 1)).toFixed(1),
  );
  console.log(
    `${name.padEnd(10)} ${took.length} interactions: median ${at(0.5)} ms, p95 ${at(0.95)} ms, worst ${at(1)} ms; heap ${early} MB in the first third, ${late} MB in the last (${heaps.map((mb) => mb.toFixed(0)).join(" ")}); ${nodes} elements`,
  );
}

const work = mkdtempSync(join(tmpdir(), "becalm-console-load-"));
writeFileSync(join(work, "policies.yaml"), POLICIES);
const options = [
  "--policies",
  join(work, "policies.yaml"),
  "--store",
  `lmdb:${join(work, "store")}`,
  "--listen",
  "127.0.0.1:0",
];
const server = spawn(process.execPath, [join(ROOT, "dist/src/cli/main.js"), "serve", ...options], {
  stdio: ["ignore", "ignore", "pipe"],
});
const browser = await chromium.launch({
  executablePath: process.env.BECALM_CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--enable-precise-memory-info", "--js-flags=--expose-gc"],
});
try {
  const url = await ready();
  for (let from = 0; from < count; from += BATCH) await send(url, alerts(from, BATCH));
  console.log(`${count} instances are there; ${rate} alerts a second, ${minutes} minutes in all`);
  const storm = follow(url);
  for (const name of pages) report(name, await measure(url, name, (minutes * 60_000) / pages.length));
  storm.end();
} finally {
  await browser.close();
  server.kill("SIGTERM");
  await new Promise((resolve) => server.once("close", resolve));
  rmSync(work, { recursive: true });
}
