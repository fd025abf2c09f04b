/** The console in a browser, as a person uses it. */
import type { Browser, Page } from "playwright-core";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { useFiles } from "../support/command.ts";
import {
  graveViolations,
  latinSentences,
  openBrowser,
  show,
  skipWithoutBrowser,
  watch,
} from "../support/console-browser.ts";
import { sendJson } from "../support/http-client.ts";
import { type Serving, startServe, stopServe } from "../support/serve-command.ts";

const POLICIES = `
policies:
  - name: shed-load
    match: ['alertname="HighErrorRate"']
    action: { log: {} }
    converge: { function: skip_when_exceed, by: [cluster], count: 2, window: 1h }
  - name: restart-host
    match: ['alertname="InstanceDown"']
    action: { log: {} }
    converge: { function: defense, by: [cluster], count: 1, window: 1h }
`;

type Row = {
  readonly id: string;
  readonly state: string;
  readonly reason: string | null;
  readonly alert: { readonly labels: Record<string, string> } | null;
};
type Step = { readonly path: readonly string[]; readonly snapshot: { readonly state: string } };

describe.skipIf(skipWithoutBrowser())("the console", () => {
  const file = useFiles();
  let serving: Serving;
  let browser: Browser;
  let page: Page;
  let faults: string[];

  beforeAll(async () => {
    const policies = file("policies.yaml", POLICIES);
    serving = await startServe(["--policies", policies, "--store", `lmdb:${policies}-store`]);
    browser = await openBrowser();
  });
  afterAll(async () => {
    await browser.close();
    await stopServe(serving);
  });
  beforeEach(async () => {
    page = await browser.newPage({ viewport: { width: 1280, height: 900 }, locale: "en-GB" });
    faults = watch(page, { origin: serving.url, refusals: [409, 412] });
  });
  afterEach(async () => {
    await page.close();
    expect(faults).toEqual([]);
  });

  const fire = (alertname: string, cluster: string, hosts: readonly string[]) =>
    sendJson(
      `${serving.url}/api/v2/alerts`,
      hosts.map((instance) => ({ labels: { alertname, cluster, instance } })),
    );
  /** Of one cluster's alerts. */
  const rowsIn = async (cluster: string): Promise<readonly Row[]> => {
    const answer = await fetch(`${serving.url}/v1/instances?limit=1000`);
    const { instances } = (await answer.json()) as { instances: readonly Row[] };
    return instances.filter(({ alert }) => alert?.labels["cluster"] === cluster);
  };
  const waiting = async (cluster: string): Promise<string> => {
    const found = async () => (await rowsIn(cluster)).find(({ state }) => state === "Waiting")?.id ?? "";
    await expect.poll(found).not.toBe("");
    return found();
  };
  const reasonsIn = async (cluster: string) => (await rowsIn(cluster)).map(({ reason }) => reason);
  const numbered = (count: number) => Array.from({ length: count }, (_, index) => `host-${index}`);
  /** Fills in who and why, and sends. */
  const answer = async (button: string, why: string) => {
    const dialog = page.getByRole("dialog");
    await dialog.getByLabel("Why").fill(why);
    await dialog.getByLabel("Your name").fill("ada");
    await dialog.getByRole("button", { name: button, exact: true }).click();
  };

  test("follows a storm that is posted while somebody looks", async () => {
    await show(page, serving.url, "#/storm");
    await fire("HighErrorRate", "storm", numbered(60));
    const tile = (kind: string) => page.locator(`.tile-${kind} strong`).textContent();
    await expect.poll(() => tile("alerts")).toBe("60");
    await expect.poll(() => tile("executed")).toBe("2");
    await expect.poll(() => tile("skipped")).toBe("58");
    await expect.poll(() => page.locator(".bars a").first().getAttribute("href")).toContain("reason=limit_reached");
    await page.locator(".tile-skipped a").click();
    await expect.poll(() => page.locator("main tbody tr").count()).toBeGreaterThan(20);
  });

  test("shows at each step of an instance's past what it was then", async () => {
    await fire("InstanceDown", "past", numbered(2));
    const id = await waiting("past");
    await sendJson(`${serving.url}/v1/instances/${id}/approve`, { by: "ada", why: "looked at it" });
    const steps = async () =>
      ((await (await fetch(`${serving.url}/v1/instances/${id}/steps`)).json()) as { steps: readonly Step[] }).steps;
    await expect.poll(async () => (await steps()).at(-1)?.snapshot.state).toBe("Success");
    const all = await steps();
    expect(all.length).toBeGreaterThan(2);
    await show(page, serving.url, `#/instances/${id}`);
    for (const [index, step] of all.entries()) {
      await page.locator(".steps button").nth(index).click();
      await expect.poll(() => page.locator(".slider b").textContent()).toBe(String(index + 1));
      await expect.poll(() => page.locator(".chart img").getAttribute("alt")).toBe(step.path.join(" > "));
      const raw = JSON.parse((await page.locator(".raw pre").textContent()) ?? "{}") as Step;
      expect(raw.snapshot.state).toBe(step.snapshot.state);
    }
    await page.locator(".slider input").press("ArrowLeft");
    await expect.poll(() => page.locator(".slider b").textContent()).toBe(String(all.length - 1));
  });

  test("approves a storm with one answer, with a reason, and the storm is gone from what waits", async () => {
    await fire("InstanceDown", "grant", numbered(4));
    const id = await waiting("grant");
    await show(page, serving.url, "#/approvals");
    const card = page.locator(".card", { hasText: "grant" });
    await expect.poll(() => card.locator(".members").textContent()).toContain("host-3");
    await card.getByRole("button", { name: "Approve all" }).click();
    await answer("Approve all", "the rack is back");
    await expect.poll(() => card.count()).toBe(0);
    const isWaiting = async () => (await rowsIn("grant")).some((row) => row.id === id && row.state === "Waiting");
    await expect.poll(isWaiting).toBe(false);
    const decided = page.locator(".log li", { hasText: "the rack is back" });
    await expect.poll(() => decided.textContent()).toMatch(/ada.*approved.*restart-host/s);
  });

  test("denies one instance from its page", async () => {
    await fire("InstanceDown", "deny", numbered(2));
    const id = await waiting("deny");
    await show(page, serving.url, `#/instances/${id}`);
    await page.getByRole("button", { name: "Deny", exact: true }).click();
    await answer("Deny", "later");
    await expect.poll(() => page.locator("h1 .state").textContent()).toBe("Skipped");
    await expect.poll(() => page.locator(".steps").textContent()).toContain("later");
  });

  test("tells the loser of a race who has answered", async () => {
    await fire("InstanceDown", "race", numbered(2));
    const id = await waiting("race");
    await show(page, serving.url, `#/instances/${id}`);
    await page.getByRole("button", { name: "Approve", exact: true }).click();
    await sendJson(`${serving.url}/v1/instances/${id}/deny`, { by: "bob", why: "first" });
    // The page has moved on by itself, and what somebody was writing is still there.
    await expect.poll(() => page.locator("h1 .state").textContent()).toBe("Skipped");
    await answer("Approve", "too late");
    const alert = page.getByRole("dialog").getByRole("alert");
    await expect.poll(() => alert.textContent()).toContain("bob");
  });

  test("finds a host by a word, keeps the filters in the address, and leads to why nothing was done", async () => {
    await fire("HighErrorRate", "found", ["db-17", "db-18", "web-17", "web-18"]);
    await expect.poll(async () => (await rowsIn("found")).length).toBe(4);
    await show(page, serving.url, "#/storm");
    await page.getByRole("search").getByRole("searchbox").fill("web-18");
    await page.keyboard.press("Enter");
    const rows = page.locator(".rows tbody tr:not(.spacer)");
    await expect.poll(() => rows.allTextContents()).toEqual([expect.stringContaining("as many peers as allowed")]);
    await page.getByLabel("Host, label or matchers").fill('cluster="found",instance=~"db.*"');
    await expect.poll(() => rows.count()).toBe(2);
    await page.getByLabel("State").selectOption("Success");
    await page.getByLabel("Created").selectOption("1h");
    await page.reload();
    await expect.poll(() => rows.count()).toBe(2);
    expect(new URL(page.url()).hash).toMatch(/labels=cluster.*state=Success|state=Success.*labels=cluster/);
    await rows.first().locator(".col-why").click();
    await expect.poll(() => page.locator("h1 .state").textContent()).toBe("Success");
  });

  test("plays a pasted candidate over what came in, and says its mistakes as somebody types", async () => {
    await fire("HighErrorRate", "candidate", numbered(6));
    await show(page, serving.url, "#/policies");
    const field = page.getByLabel("Policy file");
    await field.fill(POLICIES.replace("count: 2", "cuont: 2"));
    await expect.poll(() => page.locator(".mistakes").textContent()).toContain("count");
    await field.fill(POLICIES.replace("count: 2", "count: 5"));
    const changes = page.locator(".changes-table tbody tr", { hasText: "candidate" });
    await expect.poll(() => changes.count()).toBeGreaterThanOrEqual(3);
    expect(await changes.first().textContent()).toContain("newly executed");
    await changes.first().locator("a").click();
    await expect.poll(() => page.locator("h1 .state").textContent()).toBe("Skipped");
  });

  test("says nothing in English when it speaks Chinese, on any page", async () => {
    await fire("InstanceDown", "zh", numbered(3));
    const id = await waiting("zh");
    const [, denied] = (await rowsIn("zh")).filter(({ state }) => state === "Waiting");
    await sendJson(`${serving.url}/v1/instances/${denied?.id}/deny`, { by: "ada", why: "维修中" });
    await page.addInitScript({ content: 'localStorage.setItem("becalm-language", "zh")' });
    for (const hash of [
      "#/storm",
      "#/instances",
      `#/instances/${id}`,
      `#/instances/${denied?.id}`,
      "#/approvals",
      "#/silences",
      "#/policies",
      "#/nowhere",
    ]) {
      await page.goto(`${serving.url}/${hash}`);
      await page.locator("main section, main p").first().waitFor();
      await page.locator(".loading").waitFor({ state: "detached" });
      await page.waitForTimeout(300);
      expect([hash, await latinSentences(page)]).toEqual([hash, []]);
    }
    await page.goto(`${serving.url}/#/storm`);
    await page.locator("button.grave").click();
    expect(await latinSentences(page)).toEqual([]);
  });

  test("keeps its pages in one line on a phone, whichever is open", async () => {
    await fire("InstanceDown", "narrow", numbered(2));
    await waiting("narrow");
    await page.setViewportSize({ width: 380, height: 800 });
    for (const hash of ["#/storm", "#/instances", "#/approvals", "#/silences", "#/policies"]) {
      await show(page, serving.url, hash);
      const links = await page.locator(".top nav a").all();
      const boxes = await Promise.all(links.map((link) => link.boundingBox()));
      expect([hash, new Set(boxes.map((box) => box?.y)).size, boxes.length]).toEqual([hash, 1, 5]);
    }
  });

  test("makes a silence, which holds, and expires it", async () => {
    await show(page, serving.url, "#/silences");
    await page.getByRole("button", { name: "New silence" }).click();
    const dialog = page.getByRole("dialog");
    await dialog.locator("[name=matchers]").fill('cluster="quiet"');
    await dialog.locator("[name=comment]").fill("rack move");
    await dialog.getByLabel("Your name").fill("ada");
    await dialog.locator("button.main").click();
    const card = page.locator(".card", { hasText: "quiet" });
    await expect.poll(() => card.locator(".state").textContent()).toBe("active");
    await fire("InstanceDown", "quiet", ["host-0"]);
    await expect.poll(() => reasonsIn("quiet")).toEqual(["silenced"]);
    await card.getByRole("button").click();
    expect(await card.locator(".state").textContent(), "before somebody has confirmed it").toBe("active");
    await page.getByRole("dialog").getByRole("button", { name: "Expire", exact: true }).click();
    await expect.poll(() => card.locator(".state").textContent()).toBe("expired");
  });

  test("says so when a chart cannot be had, and shows a page for an address that cannot be read", async () => {
    await fire("InstanceDown", "chart", numbered(2));
    const id = await waiting("chart");
    await page.route("**/drawing.svg*", (route) => route.fulfill({ status: 409, json: {} }));
    await show(page, serving.url, `#/instances/${id}`);
    await expect.poll(() => page.locator(".chart [role=alert]").count()).toBe(1);
    await page.goto(`${serving.url}/#/%`);
    await page.reload();
    await expect.poll(() => page.locator("main").textContent()).toContain("There is no such page.");
  });

  test("stops all actions and lifts the stop, and says who stopped them and why", async () => {
    await show(page, serving.url, "#/storm");
    await page.getByRole("button", { name: "Stop all actions" }).click();
    await answer("Stop all actions", "the racks move");
    const held = page.getByRole("status").filter({ hasText: "the racks move" });
    await expect.poll(() => held.textContent()).toContain("ada");
    await fire("InstanceDown", "stopped", ["host-0"]);
    await expect.poll(() => reasonsIn("stopped")).toEqual(["paused"]);
    await page.getByRole("button", { name: "Resume, and decide the held ones" }).click();
    await answer("Resume, and decide the held ones", "done");
    await expect.poll(() => held.count()).toBe(0);
    await expect.poll(() => reasonsIn("stopped")).not.toContain("paused");
  });

  test.each(["light", "dark"] as const)(
    "has nothing that axe-core calls serious or critical on any page, in %s",
    async (colorScheme) => {
      await fire("InstanceDown", `axe-${colorScheme}`, numbered(3));
      const id = await waiting(`axe-${colorScheme}`);
      await page.emulateMedia({ colorScheme });
      for (const hash of ["#/storm", "#/instances", `#/instances/${id}`, "#/approvals", "#/silences", "#/policies"]) {
        await show(page, serving.url, hash);
        expect([hash, await graveViolations(page)]).toEqual([hash, []]);
      }
    },
  );

  test("shows of an approval request which alert it asks about, in the list and on its page", async () => {
    for (const host of ["db-1", "db-2"]) {
      await fire("InstanceDown", `asked-${host}`, [`${host}-first`, host]);
      await waiting(`asked-${host}`);
    }
    await page.goto(`${serving.url}/#/instances?policy=restart-host`);
    const requests = page.getByRole("row").filter({ hasText: "approval request" });
    for (const host of ["db-1", "db-2"])
      await expect.poll(() => requests.filter({ hasText: `instance${host}` }).count()).toBe(1);
    await requests.filter({ hasText: "instancedb-2" }).getByRole("link").click();
    await expect.poll(() => page.locator("header.head").textContent()).toContain("instancedb-2");
  });
});
