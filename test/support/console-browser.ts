/** Debian's Chromium for tests of the console, with what must hold of every page: no error, and nothing asked of another host. */
import { existsSync } from "node:fs";
import axe from "axe-core";
import { type Browser, chromium, type Page } from "playwright-core";
import { expect } from "vitest";

const PLACES = [
  process.env["BECALM_CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
];
const executablePath = PLACES.find((place) => place !== undefined && existsSync(place));

/** How long a page takes is no assertion. */
const PAGE_MS_MAX = 90_000;

/** Skips with a printed reason. */
export function skipWithoutBrowser(): boolean {
  if (executablePath === undefined)
    console.warn(
      "the tests of the console are left out: no Chromium was found (apt-get install chromium, or BECALM_CHROMIUM)",
    );
  return executablePath === undefined;
}

export function openBrowser(): Promise<Browser> {
  return chromium.launch({ executablePath: executablePath as string, args: ["--no-sandbox", "--disable-gpu"] });
}

/** What a page did that it must not. `refusals`: statuses of the server that the test brings about; Chromium logs each. */
export function watch(
  page: Page,
  { origin, refusals = [] }: { origin: string; refusals?: readonly number[] },
): string[] {
  page.setDefaultTimeout(PAGE_MS_MAX);
  const faults: string[] = [];
  page.on("console", (message) => {
    const isExpected = refusals.some((status) => message.text().includes(`status of ${status}`));
    if (message.type() === "error" && !isExpected) faults.push(`console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`error: ${error.message}`));
  page.on("request", (request) => {
    const url = new URL(request.url());
    if (url.protocol.startsWith("http") && url.origin !== origin) faults.push(`asked ${url.href}`);
  });
  return faults;
}

type Violation = {
  readonly id: string;
  readonly impact?: string | null;
  readonly nodes: readonly { readonly html: string }[];
};

/** What axe-core calls serious or critical. */
export async function graveViolations(page: Page): Promise<string[]> {
  await page.evaluate(axe.source);
  const { violations } = await page.evaluate(() =>
    (globalThis as never as { axe: { run(): Promise<{ violations: Violation[] }> } }).axe.run(),
  );
  return violations
    .filter(({ impact }) => impact === "serious" || impact === "critical")
    .map(({ id, impact, nodes }) => `${impact}: ${id} ${nodes[0]?.html ?? ""}`);
}

/** Opens a page of the console and waits until it shows what it has. */
export async function show(page: Page, url: string, hash: string): Promise<void> {
  await page.goto(`${url}/${hash}`);
  await page.locator("main section, main .door").first().waitFor({ timeout: PAGE_MS_MAX });
  await expect.poll(() => page.locator("main").getByText("Loading ...").count()).toBe(0);
}

/** What is neither code, nor a label, nor what somebody wrote, but in Latin letters: two words in a row of one element, or of what is read aloud. */
const LATIN_SENTENCES = `(() => {
  const names = "noscript, code, pre, .label, .id, [lang]:not(html), .log p:nth-child(2), .card:has(> h2 code) p, .facts dt, .paused p";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode() !== null) {
    const { textContent, parentElement } = walker.currentNode;
    if (parentElement.closest(names) === null) texts.push(textContent);
  }
  for (const one of document.querySelectorAll("[aria-label], [placeholder]"))
    texts.push(one.getAttribute("aria-label") ?? "", one.getAttribute("placeholder") ?? "");
  return texts.filter((text) => /[A-Za-z]{2,} [A-Za-z]{2,}/.test(text));
})()`;

export function latinSentences(page: Page): Promise<string[]> {
  return page.evaluate<string[]>(LATIN_SENTENCES);
}
