import { spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { becalm, startBecalm, useFiles } from "../support/command.ts";
import { send, sendJson } from "../support/http-client.ts";
import { useRedis } from "../support/redis-server.ts";
import { type Serving, startServe, stopServe } from "../support/serve-command.ts";

const redis = useRedis();
const file = useFiles();
const EVERY = "policies:\n  - { name: every, match: [], action: { log: {} } }\n";
const running: Serving[] = [];
let count = 0;

afterEach(async () => {
  await Promise.all(running.splice(0).map(stopServe));
});

async function serve(args: readonly string[], env: Record<string, string> = {}): Promise<Serving> {
  const serving = await startServe(args, { env });
  running.push(serving);
  return serving;
}

/** A namespace of its own for each server. */
function where(): string[] {
  count += 1;
  return ["--store", redis.url, "--namespace", `serve-${count}`];
}

describe("becalm demo --serve", () => {
  test("sends its storm to its own server only, not to the one that has its address", async () => {
    const asked: (string | undefined)[] = [];
    const other = createServer(({ url }, response) => {
      asked.push(url);
      response.end("OK");
    }).listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as AddressInfo;
    const { code, stderr } = await becalm(["demo", "--serve", "--listen", `127.0.0.1:${port}`]);
    other.close();
    expect([code, stderr]).toEqual([2, expect.stringMatching(/^error .*Cannot listen/)]);
    expect(asked).toEqual([]);
  });

  test("sends it to a free port, too, and says which that is", async () => {
    const { child, ended } = startBecalm(["demo", "--serve", "--listen", "127.0.0.1:0", "--speed", "1000"]);
    let said = "";
    child.stderr?.on("data", (piece: string) => (said += piece));
    const opened = () => /^Open (http:\S+) in a browser/m.exec(said)?.[1] ?? "";
    await expect.poll(opened, { timeout: 15_000 }).not.toBe("");
    const taken = async () => (await send(`${opened()}/v1/instances`)).text.includes("InstanceDown");
    await expect.poll(taken, { timeout: 15_000 }).toBe(true);
    child.kill("SIGINT");
    expect((await ended).code).toBe(0);
  });
});

describe("becalm serve", () => {
  test("says where it listens, answers, and ends with 0 when it is asked to", async () => {
    const serving = await serve(["--policies", file("every.yaml", EVERY), ...where()]);
    expect((await send(`${serving.url}/-/ready`)).status).toBe(200);
    expect((await sendJson(`${serving.url}/api/v2/alerts`, [{ labels: { a: "b" } }])).status).toBe(200);
    const { code, stdout } = await stopServe(serving);
    expect([code, stdout]).toEqual([0, ""]);
  });

  test("needs no store to be named: it keeps its own beside it, and what it acknowledged outlives a kill", async () => {
    const cwd = mkdtempSync(join(tmpdir(), "becalm-serve-"));
    const policies = file("lmdb.yaml", EVERY);
    const first = await startServe(["--policies", policies], { cwd });
    expect((await sendJson(`${first.url}/api/v2/alerts`, [{ labels: { instance: "kept" } }])).status).toBe(200);
    first.child.kill("SIGKILL");
    await first.ended;
    const second = await startServe(["--policies", policies], { cwd });
    expect((await send(`${second.url}/v1/instances`)).text).toContain('"kept"');
    await stopServe(second);
    rmSync(cwd, { recursive: true });
  });

  test("keeps instances and records in memory only when it is asked to, and leaves nothing behind", async () => {
    const cwd = mkdtempSync(join(tmpdir(), "becalm-memory-"));
    const strategies = file(
      "memory-strategies.yaml",
      `strategies:
  - name: busy
    query: { value: value, time: time, dimensions: [host] }
    interval: 10s
    lateness: 0s
    levels: [{ severity: critical, when: ">= 90", trigger: { count: 1, window: 1 } }]
`,
    );
    const args = ["--policies", file("memory.yaml", EVERY), "--strategies", strategies, "--store", "memory:"];
    const serving = await startServe(args, { cwd });
    const { text } = await sendJson(`${serving.url}/v1/records?flush=true`, [{ host: "a", value: 95, time: 1_000 }]);
    expect(text).toContain('"outcome":"created"');
    expect((await stopServe(serving)).code).toBe(0);
    expect(readdirSync(cwd)).toEqual([]);
    rmSync(cwd, { recursive: true });
  });

  test("takes metric records into the store that its instances are in, and goes on where a kill left it", async () => {
    const strategies = file(
      "strategies.yaml",
      `strategies:
  - name: busy
    query: { value: value, time: time, dimensions: [host] }
    interval: 10s
    lateness: 0s
    levels: [{ severity: critical, when: ">= 90", trigger: { count: 2, window: 2 } }]
`,
    );
    const cwd = mkdtempSync(join(tmpdir(), "becalm-records-"));
    const args = ["--policies", file("records.yaml", EVERY), "--strategies", strategies];
    const record = (time: number) => ({ host: "a", value: 95, time });
    const first = await startServe(args, { cwd });
    expect((await sendJson(`${first.url}/v1/records`, [record(1_700_000_000)])).status).toBe(200);
    first.child.kill("SIGKILL");
    await first.ended;
    const second = await startServe(args, { cwd });
    const { json } = await sendJson(`${second.url}/v1/records`, [record(1_700_000_000), record(1_700_000_010)]);
    expect(json).toMatchObject({ counts: { accepted: 1, duplicates: 1 }, alerts: [{ seq: 1, outcome: "taken" }] });
    expect((await stopServe(second)).code).toBe(0);
    rmSync(cwd, { recursive: true });
  });

  test("takes its options from the environment too", async () => {
    const env = {
      BECALM_POLICIES: file("env.yaml", EVERY),
      BECALM_STORE: redis.url,
      BECALM_NAMESPACE: "from-env",
      BECALM_TOKENS: file("tokens.json", '[{ "name": "a", "role": "read", "token": "secret-token" }]'),
      BECALM_WATCH: "0",
    };
    const serving = await serve([], env);
    expect((await send(`${serving.url}/v1/policies`)).status).toBe(401);
    const headers = { authorization: "Bearer secret-token" };
    expect((await send(`${serving.url}/v1/policies`, { headers })).json).toMatchObject({
      policies: [{ name: "every" }],
    });
    expect(serving.said()).not.toContain("secret-token");
  });

  test.each([
    [["--listen", "0.0.0.0:0"], /--tokens FILE.*--insecure-listen/s],
    [["--listen", "nowhere"], /not an address to listen on/],
    [["--tls-cert", "x"], /--tls-cert and --tls-key together/],
    [["--max-body", "much"], /Give a size/],
    [["--max-body", "5"], /5 bytes are fewer than any use has.*from 64KiB to 1GiB.*did you mean 5MiB\?/is],
    [["--max-body", "32MB"], /did you mean 32MiB\?/i],
    [["--max-body", "1KiB"], /1024 bytes are fewer/],
    [["--drain", "30"], /30 has no unit: did you mean 30s\?/],
    [["--request-timeout", "5ms"], /Give a duration from 1s to 1d/],
    [["--retention", "30"], /from 1d on.*did you mean 30d\?/],
    [["--partitions", "101"], /Give a whole number from 1 to 100/],
    [["--retention", "4h"], /Give a duration from 1d on/],
    [["--tokens", "/nope"], /tokens file \/nope cannot be read/],
  ])("refuses %j before it opens anything", async (args, why) => {
    const { code, stderr } = await becalm(["serve", "--policies", file("p.yaml", EVERY), ...where(), ...args]);
    expect(code).toBe(2);
    expect(stderr).toMatch(why);
  });

  test("names all mistakes of its policies and does not start", async () => {
    const bad = "policies:\n  - { name: a, action: { log: {} } }\n  - { name: b, match: ['x'], action: {} }\n";
    const { code, stderr } = await becalm(["serve", "--policies", file("bad.yaml", bad), ...where()]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/policies\[0\].*policies\[1\]/s);
  });

  test("does not start with a file without policies, and keeps the old ones when it is reloaded from one", async () => {
    const none = "policies: []\n";
    const { code, stderr } = await becalm(["serve", "--policies", file("none.yaml", none), ...where()]);
    expect([code, stderr]).toEqual([
      2,
      expect.stringMatching(/none\.yaml has no policies: .*nothing done.*becalm pause/),
    ]);
    const path = file("emptied.yaml", EVERY);
    const serving = await serve(["--policies", path, ...where()]);
    for (const text of [none, ""]) {
      writeFileSync(path, text);
      expect((await send(`${serving.url}/-/reload`, { method: "POST" })).status).toBe(400);
    }
    await expect.poll(() => serving.said()).toMatch(/emptied\.yaml has no policies.*the old ones stay in force/s);
    const { json } = await sendJson(`${serving.url}/v1/alerts`, [{ labels: { a: "b" } }]);
    expect(json).toMatchObject({ taken: 1 });
  });

  test("says that its address is taken", async () => {
    const other = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => other.once("listening", resolve));
    const { port } = other.address() as { port: number };
    const { code, stderr } = await becalm([
      "serve",
      "--policies",
      file("p.yaml", EVERY),
      ...where(),
      "--listen",
      `127.0.0.1:${port}`,
    ]);
    other.close();
    expect([code, stderr.includes("something else listens there")]).toEqual([2, true]);
  });

  test.each(["SIGHUP", "POST /-/reload", "--watch"])(
    "reads its policies again after %s; with mistakes the old ones stay",
    async (how) => {
      const path = file("reload.yaml", EVERY);
      const serving = await serve(["--policies", path, ...where(), ...(how === "--watch" ? ["--watch"] : [])]);
      const reload = async () => {
        if (how === "SIGHUP") serving.child.kill("SIGHUP");
        return how === "POST /-/reload" ? send(`${serving.url}/-/reload`, { method: "POST" }) : null;
      };
      const names = async () => {
        const { json } = await send(`${serving.url}/v1/policies`);
        return (json as { policies: { name: string }[] }).policies.map(({ name }) => name);
      };
      writeFileSync(path, EVERY.replace("every", "other"));
      expect((await reload())?.status ?? 200).toBe(200);
      await expect.poll(names).toEqual(["other"]);
      writeFileSync(path, "policies:\n  - { name: a }\n  - { nme: b }\n");
      const refused = await reload();
      if (refused !== null) {
        expect(refused.status).toBe(400);
        expect(refused.text).toMatch(/policies\[0\].*policies\[1\]/s);
      }
      await expect.poll(() => serving.said()).toContain("the policies were not reloaded");
      expect(await names()).toEqual(["other"]);
      expect((await send(`${serving.url}/metrics`)).text).toContain('becalm_reloads_total{outcome="refused"} 1');
    },
  );

  test("watches the files at its paths, whatever takes their place: a ConfigMap is renewed with another folder", async () => {
    const folder = mkdtempSync(join(tmpdir(), "becalm-watch-"));
    const path = join(folder, "policies.yaml");
    const renew = (name: string) => {
      mkdirSync(join(folder, `..${name}`));
      writeFileSync(join(folder, `..${name}`, "policies.yaml"), EVERY.replace("every", name));
      symlinkSync(`..${name}`, join(folder, "..tmp"));
      renameSync(join(folder, "..tmp"), join(folder, "..data"));
    };
    renew("first");
    symlinkSync("..data/policies.yaml", path);
    const serving = await serve(["--policies", path, ...where(), "--watch"]);
    for (const name of ["second", "third"]) {
      renew(name);
      await expect.poll(async () => (await send(`${serving.url}/v1/policies`)).text).toContain(`"${name}"`);
    }
    rmSync(folder, { recursive: true });
  });

  test("says at the start and after a reload which policies start programs that it may not start", async () => {
    const starting = (name: string) =>
      `policies:\n  - { name: ${name}, match: [], action: { exec: { command: [x] } } }\n`;
    const path = file("programs.yaml", starting("first"));
    const serving = await serve(["--policies", path, ...where(), "--retention", "30d"]);
    expect(serving.said()).toMatch(/^becalm: Policies that start programs.*"first".*--allow-exec/m);
    writeFileSync(path, starting("second"));
    expect((await send(`${serving.url}/-/reload`, { method: "POST" })).status).toBe(200);
    await expect.poll(() => serving.said()).toContain('which this server may not: \\"second\\"');
  });

  test("makes a namespace with as many partitions as it is told, and says so when it is told otherwise", async () => {
    const args = ["--policies", file("p.yaml", EVERY), ...where()];
    expect((await stopServe(await startServe([...args, "--partitions", "64"]))).code).toBe(0);
    const { code, stderr } = await becalm(["serve", ...args]);
    expect([code, stderr]).toEqual([4, expect.stringContaining("made with 64 partitions, not 16")]);
    expect((await stopServe(await startServe([...args, "--partitions", "64"]))).code).toBe(0);
  });

  test("refuses to start with a folder for what is removed that is missing, or is a file", async () => {
    const path = file("p.yaml", EVERY);
    for (const folder of [join(path, "..", "missing"), path]) {
      const { code, stderr } = await becalm(["serve", "--policies", path, ...where(), "--export-removed", folder]);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/BECALM_OUTPUT_FAILED.*--export-removed/s)]);
    }
  });

  test("answers with TLS", async () => {
    const [cert, key] = [file("cert.pem", ""), file("key.pem", "")];
    makeCertificate(cert, key);
    const serving = await serve([
      "--policies",
      file("p.yaml", EVERY),
      ...where(),
      "--tls-cert",
      cert,
      "--tls-key",
      key,
    ]);
    expect(serving.url).toMatch(/^https:/);
    const { stdout } = spawnSync(
      "curl",
      ["-s", "--cacert", cert, `${serving.url.replace("127.0.0.1", "localhost")}/-/ready`],
      { encoding: "utf8" },
    );
    expect(stdout).toBe("OK");
  });

  test("renews tokens and certificate with its policies; a mistake in one of the files leaves all as they were", async () => {
    const [cert, key] = [file("renewed-cert.pem", ""), file("renewed-key.pem", "")];
    makeCertificate(cert, key);
    const tokens = (token: string) => JSON.stringify([{ name: "ann", role: "admin", token }]);
    const path = file("renewed-tokens.json", tokens("first-token"));
    const policies = file("renewed.yaml", EVERY);
    const serving = await serve(
      ["--policies", policies, "--tokens", path, "--tls-cert", cert, "--tls-key", key].concat(where()),
    );
    const url = serving.url.replace("127.0.0.1", "localhost");
    const asked = (token: string, ...args: string[]) =>
      spawnSync(
        "curl",
        ["-s", "-w", "%{http_code}", "--cacert", cert, "-H", `Authorization: Bearer ${token}`, ...args],
        {
          encoding: "utf8",
        },
      ).stdout;
    const reload = (token: string) => asked(token, "-X", "POST", `${url}/-/reload`);
    writeFileSync(path, tokens("second-token"));
    const other = file("other-key.pem", "");
    makeCertificate(file("other-cert.pem", ""), other);
    const ownKey = readFileSync(key);
    copyFileSync(other, key);
    writeFileSync(policies, "policies:\n  - { name: a }\n");
    expect(reload("first-token")).toMatch(/policies\[0\].*renewed-key\.pem cannot be used.*400$/s);
    expect(asked("second-token", `${url}/v1/policies`)).toMatch(/401$/);
    writeFileSync(policies, EVERY);
    writeFileSync(key, ownKey);
    makeCertificate(cert, key);
    // The old certificate is shown until the reload, and is not what curl trusts now.
    expect(asked("first-token", `${url}/-/ready`)).toBe("000");
    serving.child.kill("SIGHUP");
    await expect.poll(() => asked("second-token", `${url}/v1/policies`)).toMatch(/200$/);
    expect(asked("first-token", `${url}/v1/policies`)).toMatch(/401$/);
    expect(serving.said()).not.toMatch(/(?:first|second)-token/);
  });
});

function makeCertificate(cert: string, key: string): void {
  const how = "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 1 -subj /CN=localhost";
  const { status } = spawnSync("openssl", [...how.split(" "), "-keyout", key, "-out", cert]);
  expect(status).toBe(0);
}

describe("SIGTERM under load", () => {
  test("waits for a request of which only a part has come", async () => {
    const serving = await serve(["--policies", file("p.yaml", EVERY), ...where()]);
    const body = JSON.stringify([{ labels: { a: "b" } }]);
    const socket = connect(Number(new URL(serving.url).port), "127.0.0.1");
    let answer = "";
    socket.setEncoding("utf8").on("data", (piece: string) => (answer += piece));
    const closed = once(socket, "close");
    socket.write(
      `POST /api/v2/alerts HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body.slice(0, 5)}`,
    );
    // The first answer shows that the server has this connection, too.
    expect((await send(`${serving.url}/-/ready`)).status).toBe(200);
    serving.child.kill("SIGTERM");
    await expect.poll(() => serving.said()).toContain("draining");
    socket.write(body.slice(5));
    await closed;
    expect(answer).toMatch(/^HTTP\/1.1 200 .*connection: close/is);
    expect((await serving.ended).code).toBe(0);
  });

  test("lets every request end that it has taken, ends with 0, and loses nothing that it acknowledged", async () => {
    const at = where();
    const serving = await serve(["--policies", file("p.yaml", EVERY), ...at]);
    const acknowledged = new Set<string>();
    const faults: string[] = [];
    let isStopping = false;
    const client = async (name: number) => {
      for (let number = 0; !isStopping || number === 0; number += 1) {
        const instance = `${name}-${number}`;
        try {
          const { status } = await sendJson(`${serving.url}/api/v2/alerts`, [{ labels: { instance } }]);
          if (status === 200) acknowledged.add(instance);
          else if (status !== 503) faults.push(`${status}`);
        } catch (error) {
          // Nobody had taken the connection yet.
          if (!["ECONNREFUSED", "ECONNRESET"].includes((error as NodeJS.ErrnoException).code ?? ""))
            faults.push(String(error));
          return;
        }
      }
    };
    const clients = Array.from({ length: 8 }, (_, name) => client(name));
    await expect.poll(() => acknowledged.size).toBeGreaterThan(100);
    const { code } = await stopServe(serving);
    isStopping = true;
    await Promise.all(clients);
    expect([code, faults]).toEqual([0, []]);
    const { stdout } = await becalm(["ls", ...at, "--json", "--limit", "1000"]);
    for (const instance of [...acknowledged].slice(-200)) expect(stdout).toContain(`"${instance}"`);
  });
});
