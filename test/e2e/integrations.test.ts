import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEngine, type Engine } from "../../src/engine.ts";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import { Links } from "../../src/server/links/links.ts";
import { Signer } from "../../src/system/signer.ts";

/** The policies of docs/integrations.md, against servers that want and answer what the real ones do. */
const PAGE = readFileSync(new URL("../../docs/integrations.md", import.meta.url), "utf8");
const POLICIES = [...PAGE.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, yaml]) => yaml as string);

type Seen = { method: string; path: string; headers: IncomingHttpHeaders; body: string };
type Answer = { status: number; headers?: Record<string, string>; body?: unknown };

/** Why a request is refused, as text; undefined: it is not one of this program's. */
type Program = (seen: Seen) => Answer | undefined;

const json = ({ body }: Seen) => JSON.parse(body) as Record<string, unknown>;
const isJson = ({ headers }: Seen) => headers["content-type"] === "application/json";

const jenkins: Program = (seen) => {
  if (!seen.path.startsWith("/job/clean-disk/")) return undefined;
  if (seen.headers.authorization !== `Basic ${Buffer.from("becalm:jenkins-token").toString("base64")}`)
    return { status: 401 };
  const isForm = seen.headers["content-type"] === "application/x-www-form-urlencoded";
  if (seen.method !== "POST" || seen.path !== "/job/clean-disk/buildWithParameters" || !isForm) return { status: 400 };
  if (new URLSearchParams(seen.body).get("HOST") !== 'db-1 & "co"') return { status: 400 };
  return { status: 201, headers: { Location: "http://jenkins.example/queue/item/12/" } };
};

const jenkinsTrigger: Program = (seen) => {
  const url = new URL(seen.path, "http://x");
  if (url.pathname !== "/generic-webhook-trigger/invoke") return undefined;
  if (url.searchParams.get("token") !== "trigger-token" || !isJson(seen)) return { status: 404 };
  return { status: typeof json(seen)["callback"] === "string" ? 202 : 400, body: { jobs: {} } };
};

const awx: Program = (seen) => {
  if (!seen.path.startsWith("/api/v2/job_templates/")) return undefined;
  if (seen.headers.authorization !== "Bearer awx-token")
    return { status: 401, body: { detail: "Authentication credentials were not provided." } };
  const { limit, extra_vars: variables } = json(seen) as { limit: string; extra_vars: { labels: object } };
  if (seen.method !== "POST" || !isJson(seen) || typeof limit !== "string" || typeof variables.labels !== "object")
    return { status: 400 };
  return { status: 201, body: { job: 41, status: "pending" } };
};

const rundeck: Program = (seen) => {
  if (!seen.path.startsWith("/api/46/job/")) return undefined;
  if (seen.headers["x-rundeck-auth-token"] !== "rundeck-token") return { status: 403 };
  if (seen.headers.accept !== "application/json") return { status: 406 };
  const { options } = json(seen) as { options: Record<string, unknown> };
  const areTexts = Object.values(options).every((option) => typeof option === "string");
  return seen.method === "POST" && areTexts ? { status: 200, body: { id: 5, status: "running" } } : { status: 400 };
};

const pagerduty: Program = (seen) => {
  if (seen.path !== "/v2/enqueue") return undefined;
  const event = json(seen) as Record<string, string> & { payload: Record<string, string> };
  const isRight =
    event["routing_key"] === "pagerduty-key" &&
    ["trigger", "acknowledge", "resolve"].includes(event["event_action"] ?? "") &&
    (event["dedup_key"] ?? "").length <= 255 &&
    ["critical", "error", "warning", "info"].includes(event.payload["severity"] ?? "") &&
    [event.payload["summary"], event.payload["source"]].every((text) => typeof text === "string" && text !== "") &&
    !Number.isNaN(Date.parse(event.payload["timestamp"] ?? ""));
  return isRight
    ? { status: 202, body: { status: "success", message: "Event processed", dedup_key: event["dedup_key"] } }
    : { status: 400, body: { status: "invalid event" } };
};

type Block = {
  type: string;
  text?: { type: string; text: string };
  elements?: { type: string; url: string; text: { text: string } }[];
};

const slack: Program = (seen) => {
  if (!seen.path.startsWith("/services/")) return undefined;
  const { text, blocks } = json(seen) as { text: string; blocks: Block[] };
  const areRight = blocks.every((block) =>
    block.type === "actions"
      ? block.elements?.every(
          ({ type, url, text: label }) => type === "button" && URL.canParse(url) && label.text.length <= 75,
        )
      : block.type === "section" && block.text?.type === "plain_text" && block.text.text.length <= 3_000,
  );
  if (seen.path !== "/services/T0/B0/xyz" || text === "" || !areRight) return { status: 400, body: "invalid_payload" };
  return { status: 200, body: "ok" };
};

const runner: Program = (seen) => (seen.path === "/restart" ? { status: 200 } : undefined);

const folder = mkdtempSync(join(tmpdir(), "becalm-integrations-"));
const SECRETS = {
  "jenkins-basic": Buffer.from("becalm:jenkins-token").toString("base64"),
  "jenkins-trigger": "trigger-token",
  "awx-token": "awx-token",
  "rundeck-token": "rundeck-token",
  "pagerduty-key": "pagerduty-key",
  "slack-hook": "T0/B0/xyz",
};
const seen: Seen[] = [];
const refused: string[] = [];
const server = createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (piece: string) => (body += piece));
  request.on("end", () => {
    const { method = "", url: path = "", headers } = request;
    const one = { method, path, headers, body };
    seen.push(one);
    const programs = [jenkins, jenkinsTrigger, awx, rundeck, pagerduty, slack, runner];
    const answer = programs.map((program) => program(one)).find((found) => found !== undefined) ?? { status: 404 };
    if (answer.status >= 300) refused.push(`${method} ${path} ${body}`);
    response.writeHead(answer.status, answer.headers ?? {}).end(JSON.stringify(answer.body ?? null));
  });
});
let origin = "";
beforeAll(async () => {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  for (const [name, text] of Object.entries(SECRETS)) writeFileSync(join(folder, name), `${text}\n`);
});
afterAll(() => {
  server.close();
  rmSync(folder, { recursive: true });
});

const links = new Links({
  externalUrl: "https://becalm.example",
  signer: new Signer(["a secret of the tests"]),
  namespace: "default",
});

async function engineWith(yaml: string): Promise<Engine> {
  const text = yaml.replace(/https:\/\/(?!becalm)[a-z.]+/g, origin).replaceAll("/run/secrets/", `${folder}/`);
  const engine = createEngine({ policies: loadPolicySet(text, { file: "integrations.md" }), urls: links });
  await engine.start();
  return engine;
}

const LABELS = { severity: "critical", instance: 'db-1 & "co"', cluster: "core" };

describe("the policies of docs/integrations.md", () => {
  test("are six programs, one of them in two ways", () => {
    expect(POLICIES).toHaveLength(6);
  });

  test.each([
    ["Jenkins", 0, "DiskFull", "Success"],
    ["Jenkins, waiting for the build", 1, "DiskFull", "Processing"],
    ["AWX", 2, "ServiceDown", "Success"],
    ["Rundeck", 3, "ServiceDown", "Success"],
    ["PagerDuty", 4, "DiskFull", "Success"],
  ])("%s takes the request as it is", async (...[, index, alertname, state]) => {
    const engine = await engineWith(POLICIES[index] as string);
    const before = seen.length;
    const { instances } = await engine.ingest([
      { status: "firing", labels: { ...LABELS, alertname }, annotations: { summary: 'disk "/" \\ full' } },
    ]);
    const reference = engine.get(instances[0]?.id as string);
    await expect.poll(() => seen.length).toBeGreaterThan(before);
    await reference.waitFor((snapshot) => snapshot.state === state);
    expect(refused).toEqual([]);
    await engine.stop();
  });

  test("Slack takes the request for an approval, with buttons that lead to its links", async () => {
    const engine = await engineWith(POLICIES[5] as string);
    for (const host of ["a", "b", "c"])
      await engine.ingest([{ status: "firing", labels: { ...LABELS, alertname: "HostDown", host } }]);
    await expect.poll(() => seen.some(({ path }) => path.startsWith("/services/"))).toBe(true);
    expect(refused).toEqual([]);
    const posted = seen.find(({ path }) => path.startsWith("/services/")) as Seen;
    const { blocks } = json(posted) as { blocks: Block[] };
    const urls = blocks.flatMap(({ elements = [] }) => elements.map(({ url }) => url));
    const claims = urls.map((url) => links.readApproval(url.slice(url.lastIndexOf("/") + 1))?.verb);
    expect(claims).toEqual(["approve", "deny"]);
    await engine.stop();
  });
});
