// Takes pictures of every page of the console at 380, 1280 and 2560 pixels, light and dark, while a part of the
// captured storm is in it.
//   node scripts/console-screenshots.mjs FOLDER [--lang zh] [--only storm,instances]
// Needs a build (npm run build) and Chromium (BECALM_CHROMIUM, or /usr/bin/chromium). Chinese needs a font that has it.
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COMMAND = join(ROOT, "dist/src/cli/main.js");
const WIDTHS = [380, 1280, 2560];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { lang: { type: "string", default: "en" }, only: { type: "string" } },
});
const [folder = "console-screenshots"] = positionals;
mkdirSync(folder, { recursive: true });
const work = mkdtempSync(join(tmpdir(), "becalm-screenshots-"));
const options = [
  "--policies",
  join(ROOT, "demo/policies.yaml"),
  "--store",
  `lmdb:${join(work, "store")}`,
  "--listen",
  "127.0.0.1:0",
];
const server = spawn(process.execPath, [COMMAND, "serve", ...options], { stdio: ["ignore", "ignore", "pipe"] });
try {
  const url = await ready();
  await sendStorm(url);
  await answerSome(url);
  await takeAll(url);
} finally {
  server.kill("SIGTERM");
  await new Promise((resolve) => server.once("close", resolve));
  rmSync(work, { recursive: true });
}

function ready() {
  return new Promise((resolve, reject) => {
    let said = "";
    server.stderr.setEncoding("utf8").on("data", (piece) => {
      said += piece;
      const url = /^becalm: listening on (\S+)$/m.exec(said)?.[1];
      if (url !== undefined) resolve(url);
    });
    server.once("close", () => reject(new Error(`becalm serve ended: ${said}`)));
  });
}

/** The firing alerts of the storm's first requests, as if they came now. */
async function sendStorm(url) {
  const lines = readFileSync(join(ROOT, "demo/storm.jsonl"), "utf8").trim().split("\n");
  for (const line of lines.slice(0, 60)) {
    const { body } = JSON.parse(line);
    const alerts = body.map(({ labels, annotations }) => ({ labels, annotations }));
    await fetch(`${url}/api/v2/alerts`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(alerts),
    });
  }
}

/** So that every page has something to show: an answer of a storm, one of an instance, a silence. */
async function answerSome(url) {
  const send = (path, body) =>
    fetch(url + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify(body),
    });
  const [storm, other] = await approvalsOf(url);
  if (other !== undefined)
    await send(`/v1/groups/${encodeURIComponent(other.group)}/approve`, { by: "ada", why: "the rack has power again" });
  await send(`/v1/instances/${storm.instances[0]}/approve`, { by: "ada", why: "this one hangs, the console shows it" });
  await send(`/v1/instances/${storm.instances[1]}/deny`, { by: "ben", why: "under repair" });
  await send("/api/v2/silences", {
    matchers: [{ name: "cluster", value: "edge", isRegex: false, isEqual: true }],
    startsAt: new Date().toISOString(),
    endsAt: new Date(Date.now() + 7_200_000).toISOString(),
    createdBy: "ada",
    comment: "new switches in the edge",
  });
}

async function approvalsOf(url) {
  return (await (await fetch(`${url}/v1/approvals?limit=1000`)).json()).approvals;
}

async function takeAll(url) {
  const [waiting] = await approvalsOf(url);
  const { decided } = await (await fetch(`${url}/v1/decided`)).json();
  const granted = decided.find(({ event }) => event === "approval.granted")?.instances[0];
  const pages = {
    storm: "#/storm",
    instances: "#/instances",
    found: "#/instances?text=127.0.1.2",
    instance: `#/instances/${waiting?.instances[0]}`,
    past: `#/instances/${granted}?at=2`,
    approvals: "#/approvals",
    silences: "#/silences",
    policies: "#/policies",
    candidate: "#/policies",
  };
  const wanted = Object.entries(pages).filter(([name]) => values.only?.split(",").includes(name) ?? true);
  const browser = await chromium.launch({
    executablePath: process.env.BECALM_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  for (const colorScheme of ["light", "dark"]) {
    for (const width of WIDTHS) {
      const locale = values.lang === "zh" ? "zh-CN" : "en-GB";
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme, locale });
      for (const [name, hash] of wanted) {
        await page.goto(`${url}/${hash}`);
        await page.locator("main section").first().waitFor();
        await page.locator(".loading").waitFor({ state: "detached" });
        if (name === "candidate") await tryCandidate(page);
        if (name === "instance" || name === "past") await page.locator(".chart img").waitFor();
        await page.waitForTimeout(300);
        await page.screenshot({
          path: join(folder, `${name}-${width}-${colorScheme}.png`),
          fullPage: name !== "instances",
        });
      }
      await page.close();
    }
  }
  await browser.close();
}

/** The policies of the demo, less cautious with hosts. */
async function tryCandidate(page) {
  const text = readFileSync(join(ROOT, "demo/policies.yaml"), "utf8");
  await page
    .locator(".candidate textarea")
    .fill(
      text.replace(
        "function: defense, by: [cluster, rack], count: 1",
        "function: defense, by: [cluster, rack], count: 12",
      ),
    );
  await page.locator(".difference").waitFor({ timeout: 30_000 });
}
