// Takes pictures of every page of the console at 380, 1280 and 2560 pixels, light and dark, while a part of the captured storm is in it.
//   node scripts/console-screenshots.mjs FOLDER        needs a build (npm run build) and Chromium (BECALM_CHROMIUM, or /usr/bin/chromium)
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COMMAND = join(ROOT, "dist/src/cli/main.js");
const WIDTHS = [380, 1280, 2560];

const [folder = "console-screenshots"] = process.argv.slice(2);
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

async function takeAll(url) {
  const { approvals } = await (await fetch(`${url}/v1/approvals`)).json();
  const id = approvals[0]?.instances[0];
  const pages = {
    storm: "#/storm",
    instances: "#/instances",
    instance: `#/instances/${id}`,
    approvals: "#/approvals",
    silences: "#/silences",
    policies: "#/policies",
  };
  const browser = await chromium.launch({
    executablePath: process.env.BECALM_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--no-sandbox"],
  });
  for (const colorScheme of ["light", "dark"]) {
    for (const width of WIDTHS) {
      const page = await browser.newPage({ viewport: { width, height: 900 }, colorScheme, locale: "en-GB" });
      for (const [name, hash] of Object.entries(pages)) {
        await page.goto(`${url}/${hash}`);
        await page.locator("main section").first().waitFor();
        await page.waitForLoadState("networkidle", { timeout: 2_000 }).catch(() => {});
        await page.screenshot({ path: join(folder, `${name}-${width}-${colorScheme}.png`) });
      }
      await page.close();
    }
  }
  await browser.close();
}
