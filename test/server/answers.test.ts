import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { TokenBook } from "../../src/server/auth/tokens.ts";
import { Links } from "../../src/server/links/links.ts";
import { Signer } from "../../src/system/signer.ts";
import { type Received, send } from "../support/http-client.ts";
import { type ServerWorld, serverWorld } from "../support/server-world.ts";
import { type Delivery, startWebhookTarget, type WebhookTarget } from "../support/webhook-target.ts";

type Pair = { approve: string; deny: string };
type Request = {
  approval: { instance: string; group: string | null; held: number; links: Pair & { one: Pair | null } };
};

const EXTERNAL = "https://becalm.example/here/";
const secret = "a secret of the tests";
const linksWith = (secrets: readonly string[], namespace = "default") =>
  new Links({ externalUrl: EXTERNAL, signer: new Signer(secrets), namespace });

/** By rule: the first runs, the others wait for a person. */
function policies(target: string, more = ""): string {
  const ask = (name: string, approval: string) => `
  - name: ${name}
    match: ['alertname="${name}"']
    action: { log: {} }
    converge: { function: defense, by: [alertname, cluster], count: 1, window: 5m }
    approval: { ${approval}, notify: { webhook: { url: "${target}" } } }`;
  return `policies:${ask("Down", "timeout: 30m")}${ask("Twice", "timeout: 30m, quorum: 2")}${ask("Short", "timeout: 1s")}${more}\n`;
}

function requestIn(delivery: Delivery | undefined): Request {
  return delivery?.body as unknown as Request;
}

function signedIn(link: string): string {
  return link.slice(link.lastIndexOf("/") + 1);
}

describe("links of approval requests", () => {
  let target: WebhookTarget;
  let world: ServerWorld;
  beforeAll(async () => {
    target = await startWebhookTarget(() => 200);
    world = await serverWorld({ policies: policies(target.url), links: linksWith([secret]) });
  });
  afterAll(async () => {
    await world.close();
    await target.stop();
  });

  /** Holds instances of one group, and gives the request that asks about them. */
  async function storm(alertname: string, cluster: string, count: number): Promise<Request["approval"]> {
    const alert = (n: number) => ({
      status: "firing" as const,
      labels: { alertname, cluster, host: `h${n}`, "<b>": "&\"'" },
    });
    const before = target.deliveries.length;
    await world.engine.ingest([alert(0)]);
    await world.engine.ingest(Array.from({ length: count }, (_, n) => alert(n + 1)));
    await expect.poll(() => target.deliveries.length).toBeGreaterThan(before);
    return requestIn(target.deliveries.at(-1)).approval;
  }
  const localOf = (link: string) => link.replace(EXTERNAL.replace(/\/$/, ""), world.url);
  const open = (link: string, headers = {}) => send(localOf(link), { headers });
  const answer = (link: string, form: Record<string, string>, headers = {}): Promise<Received> =>
    send(localOf(link), {
      method: "POST",
      headers: { "content-type": "application/x-www-form-urlencoded", ...headers },
      body: new URLSearchParams(form).toString(),
    });
  const waiting = async (group: string | null) =>
    (await world.engine.list({ state: "Waiting", ...(group === null ? {} : { group }) })).instances.length;

  test("lead to this server's address, and show what is asked without deciding it", async () => {
    const { links, group, held } = await storm("Down", "shown", 3);
    expect([links.approve.startsWith(EXTERNAL), held]).toEqual([true, 3]);
    const page = await open(links.approve);
    expect(page.status).toBe(200);
    expect(page.headers["content-security-policy"]).toMatch(/^default-src 'none'; style-src 'sha256-/);
    expect(page.headers["cache-control"]).toBe("no-store");
    for (const part of ["Approve all 3?", "h1", "Down", "form method", "&lt;b&gt;"]) expect(page.text).toContain(part);
    expect(page.text).not.toMatch(/<script|<b>|src=/);
    await open(links.deny, { "accept-language": "zh-CN,zh;q=0.9" }).then(({ text }) =>
      expect(text).toContain("拒绝全部 3 个"),
    );
    expect(await waiting(group)).toBe(3);
  });

  test("decide a whole storm with a second click, and refuse every later one with who and when", async () => {
    const { links, group } = await storm("Down", "all", 3);
    const done = await answer(links.approve, { by: "ann", why: "looked at it" });
    expect([done.status, done.text]).toMatchObject([200, expect.stringContaining("ann (by link) approved 3")]);
    expect(await waiting(group)).toBe(0);
    for (const link of [links.approve, links.deny, (links.one as Pair).deny]) {
      const late = await answer(link, { by: "bob", why: "too late" });
      expect([late.status, late.text]).toMatchObject([
        409,
        expect.stringMatching(/decided already, at 2\d{3}-.*ann \(by link\)/s),
      ]);
      expect((await open(link)).status).toBe(409);
    }
  });

  test("decide one of a storm, and those for the others stay good", async () => {
    const { links, group } = await storm("Down", "one", 3);
    expect((await answer((links.one as Pair).deny, { by: "ann", why: "not this one" })).status).toBe(200);
    expect(await waiting(group)).toBe(2);
    expect((await answer((links.one as Pair).approve, { by: "ann", why: "again" })).status).toBe(409);
    expect((await answer(links.approve, { by: "ann", why: "the rest" })).text).toContain("approved 2");
  });

  test("of an answered request decide nothing of the next one about the same group", async () => {
    const first = await storm("Down", "next", 1);
    await answer(first.links.deny, { by: "ann", why: "no" });
    const second = await storm("Down", "next", 2);
    expect(second.instance).not.toBe(first.instance);
    expect((await answer(first.links.approve, { by: "ann", why: "yes" })).status).toBe(409);
    expect(await waiting(second.group)).toBe(1);
  });

  test("count one person once where several must agree, whatever the spelling", async () => {
    const { links, group } = await storm("Twice", "quorum", 2);
    expect((await answer(links.approve, { by: "Ann", why: "yes" })).text).toContain("needs 1 more");
    expect((await answer(links.approve, { by: " ann", why: "yes, yes" })).status).toBe(409);
    expect(await waiting(group)).toBe(2);
    expect((await open(links.approve)).text).toContain("Ann (by link)");
    expect((await answer(links.approve, { by: "bob", why: "yes" })).text).toContain("approved 2");
  });

  test("that two people use at once are used by one of them; the other is told by whom and when", async () => {
    const { links } = await storm("Down", "race", 1);
    const answers = await Promise.all([
      answer(links.approve, { by: "ann", why: "yes" }),
      answer(links.deny, { by: "bob", why: "no" }),
    ]);
    expect(answers.map(({ status }) => status).sort((a, b) => a - b)).toEqual([200, 409]);
    const winner = answers[0]?.status === 200 ? "ann" : "bob";
    expect(answers.find(({ status }) => status === 409)?.text).toContain(`${winner} (by link)`);
  });

  test("expire, and say what became of the request", async () => {
    const { links, group } = await storm("Short", "expired", 1);
    await expect.poll(() => waiting(group)).toBe(0);
    await expect.poll(async () => (await open(links.approve)).status).toBe(410);
    const late = await answer(links.approve, { by: "ann", why: "late" });
    expect([late.status, late.text]).toMatchObject([410, expect.stringContaining("decided already, at")]);
  });

  test("that are forged, cut, of another secret, another namespace or another purpose are worth nothing", async () => {
    const about = { instance: "03-0a1b2c3d4e5f60718293a4b5", group: null, dueAtMs: Date.now() + 60_000, joinMs: 0 };
    const { links } = await storm("Down", "forged", 1);
    const [payload, signature] = signedIn(links.approve).split(".") as [string, string];
    const claim = JSON.parse(Buffer.from(payload, "base64url").toString()) as object;
    const other = Buffer.from(JSON.stringify({ ...claim, verb: "deny" })).toString("base64url");
    const effect = { id: "x", partition: 0, instanceId: "x", groupId: null, attempt: 1, atMs: 0, turn: 0, order: [] };
    const forged = [
      `${EXTERNAL}v1/answers/${other}.${signature}`,
      links.approve.slice(0, -1),
      linksWith(["another secret, as long"]).approval(about).approve,
      linksWith([secret], "other").approval(about).approve,
      linksWith([secret])
        .callback(effect, Date.now() + 60_000)
        .replace("callbacks", "answers"),
      `${EXTERNAL}v1/answers/x`,
    ];
    for (const link of forged) {
      expect((await open(link)).status).toBe(403);
      expect((await answer(link, { by: "ann", why: "x" })).status).toBe(403);
    }
    expect((await open(linksWith([secret]).approval(about).approve)).status).toBe(404);
  });

  test("need a name and a reason, and a form", async () => {
    const { links } = await storm("Down", "form", 1);
    expect((await answer(links.approve, { by: "", why: "x" })).status).toBe(400);
    expect((await answer(links.approve, { by: "ann", why: " " })).status).toBe(400);
    const json = await send(localOf(links.approve), {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(json.status).toBe(415);
  });

  test("work through a proxy that says the public name, which opens nothing else", async () => {
    const { links } = await storm("Down", "proxy", 1);
    const proxied = { host: "becalm.example", origin: "https://becalm.example" };
    expect((await open(links.approve, proxied)).status).toBe(200);
    expect((await send(`${world.url}/v1/instances`, { headers: proxied })).status).toBe(403);
    const foreign = { ...proxied, origin: "https://evil.example" };
    expect((await answer(links.approve, { by: "ann", why: "x" }, foreign)).status).toBe(403);
    expect((await answer(links.approve, { by: "ann", why: "x" }, proxied)).status).toBe(200);
  });

  test("of an old secret are good while it stands behind the new one", async () => {
    const { links } = await storm("Down", "rotated", 1);
    const renewed = linksWith(["the new secret of the tests", secret]);
    expect(renewed.readApproval(signedIn(links.approve))).toMatchObject({ verb: "approve" });
    expect(linksWith(["the new secret of the tests"]).readApproval(signedIn(links.approve))).toBeNull();
  });
});

describe("links of a server with tokens", () => {
  test("need none, take one as a proof of who answers, and demand it where several must agree", async () => {
    const tokens = new TokenBook([
      { caller: { name: "ann", role: "operate" }, token: "token-of-ann" },
      { caller: { name: "eve", role: "read" }, token: "token-of-eve" },
    ]);
    const target = await startWebhookTarget(() => 200);
    const world = await serverWorld({ policies: policies(target.url), links: linksWith([secret]), tokens });
    const alert = (alertname: string, host: string) => ({ status: "firing" as const, labels: { alertname, host } });
    for (const name of ["Down", "Twice"]) {
      await world.engine.ingest([alert(name, "a")]);
      await world.engine.ingest([alert(name, "b")]);
    }
    await expect.poll(() => target.deliveries.length).toBe(2);
    const [down, twice] = ["Down", "Twice"].map((name) => {
      const found = requestIn(target.deliveries.find(({ body }) => body.policy === name));
      return found.approval.links.approve.replace(EXTERNAL.replace(/\/$/, ""), world.url);
    }) as [string, string];
    const answer = (link: string, form: Record<string, string>) =>
      send(link, {
        method: "POST",
        headers: { "content-type": "application/x-www-form-urlencoded" },
        body: new URLSearchParams(form).toString(),
      });
    expect((await send(twice)).text).toContain("type=password required");
    expect((await answer(twice, { by: "bob", why: "x" })).status).toBe(403);
    expect((await answer(twice, { token: "token-of-eve", why: "x" })).status).toBe(403);
    expect((await answer(twice, { token: "token-of-ann", why: "x" })).text).toContain("Counted for ann.");
    expect((await answer(twice, { token: "token-of-ann", why: "x" })).status).toBe(409);
    expect((await answer(down, { by: "bob", token: "token-of-ann", why: "x" })).text).toContain("ann approved 1");
    await world.close();
    await target.stop();
  });
});
