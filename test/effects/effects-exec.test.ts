import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { EffectRequest } from "../../src/effects/effect-port.ts";
import { type ExecResult, runExec } from "../../src/effects/exec-effect.ts";
import { runAttempt } from "../../src/effects/local-effects.ts";
import { EFFECT_RESULT_BYTES_MAX } from "../../src/model/limits.ts";
import { actionMessage, alert, approval, EFFECT_ID, INSTANCE, requestOf } from "../support/effect-request.ts";

/** Long enough for any machine; no test waits for it. */
const TIMEOUT_MS = 15_000;
const KILL_DELAY_MS = 150;

/** A program of our own, as text. */
function node(script: string, ...args: string[]): readonly string[] {
  return [process.execPath, "-e", script, "--", ...args];
}

function exec(command: readonly string[], timeoutMs = TIMEOUT_MS) {
  return { kind: "exec", command, timeoutMs } as const;
}

function run(command: readonly string[], changes: Partial<EffectRequest> = {}) {
  return runAttempt(requestOf(exec(command), changes), { allowExec: true });
}

/** Runs with a short time between SIGTERM and SIGKILL. */
function runShort(command: readonly string[], { timeoutMs, signal }: { timeoutMs?: number; signal?: AbortSignal }) {
  const action = exec(command, timeoutMs);
  return runExec(requestOf(action, signal === undefined ? {} : { signal }), action, { killDelayMs: KILL_DELAY_MS });
}

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "becalm-exec-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("whether a program may run", () => {
  test.each([undefined, false])(
    "is decided by the engine: with allowExec %s nothing starts and the sentence tells what to do",
    async (allowExec) => {
      const mark = join(folder, `forbidden-${allowExec}`);
      const options = allowExec === undefined ? {} : { allowExec };
      const result = await runAttempt(requestOf(exec(["/bin/touch", mark])), options);
      expect(result.ok).toBe(false);
      expect(result.ok ? "" : result.error).toMatch(
        /BECALM_EFFECT_FORBIDDEN.*"disk-cleanup".*--allow-exec \(allowExec: true\)/,
      );
      expect(readdirSync(folder)).toEqual([]);
    },
  );
});

describe("a program that still runs when the engine's process exits", () => {
  test.each([
    ["exits", 7],
    ["throws", 1],
  ])("is ended with all that it started (%s), so that its attempt does not run twice at once", async (how, code) => {
    const mark = join(folder, how);
    const args = ["scripts/run-ts.mjs", "test/support/exiting-program.ts", how, mark];
    const { status } = spawnSync(process.execPath, args, { encoding: "utf8" });
    expect(status).toBe(code);
    await expect.poll(() => readdirSync(folder)).toEqual([how, `${how}.ended`]);
    for (const name of readdirSync(folder)) rmSync(join(folder, name));
  });
});

describe("what a program gets", () => {
  test("is its arguments as they stand: no shell reads them", async () => {
    const args = ["; touch pwned", "$(touch pwned)", "`touch pwned`", "a b", "*", "| cat", '"', ""];
    const result = await run(node("console.log(JSON.stringify(process.argv.slice(1)))", ...args));
    expect(JSON.parse((result.result as ExecResult).stdout)).toEqual(args);
  });

  test("is not made of a program's name: `echo; id` is one name, of nothing", async () => {
    const result = await run(["echo; id"]);
    expect(result).toMatchObject({ ok: false });
    expect(result.ok ? "" : result.error).toContain('The program "echo; id" was not found');
  });

  test("is the effect as JSON on its standard input", async () => {
    const result = await run(node("process.stdin.pipe(process.stdout)"));
    expect(JSON.parse((result.result as ExecResult).stdout)).toEqual(actionMessage);
  });

  test("tells a notice by its kind", async () => {
    const changes = { kind: "approval-request", alert: null, notice: approval } as const;
    const result = await run(node("process.stdin.pipe(process.stdout)"), changes);
    expect(JSON.parse((result.result as ExecResult).stdout)).toMatchObject({
      kind: "approval-request",
      approval: { instance: INSTANCE, dueAt: "2026-11-23T07:20:00.000Z" },
    });
  });

  test("is the engine's environment and five variables of ours", async () => {
    const script =
      "const e = process.env; console.log([e.BECALM_EFFECT_ID, e.BECALM_INSTANCE, e.BECALM_POLICY, e.BECALM_ATTEMPT, e.BECALM_KIND, e.PATH].join())";
    const result = await run(node(script));
    expect((result.result as ExecResult).stdout.trim()).toBe(
      [EFFECT_ID, INSTANCE, "disk-cleanup", "2", "action", process.env["PATH"]].join(),
    );
  });
});

describe("how a program ends", () => {
  test("with exit code 0 is success, with both outputs recorded", async () => {
    const result = await run(node("console.log('out'); console.error('err')"));
    expect(result).toEqual({ ok: true, result: { exitCode: 0, signal: null, stdout: "out\n", stderr: "err\n" } });
  });

  test("with another exit code is a failure that says which", async () => {
    const result = await run(node("console.error('no disk'); process.exit(7)"));
    expect(result).toEqual({
      ok: false,
      error: `The program ${JSON.stringify(process.execPath)} ended with exit code 7; only 0 is success.`,
      result: { exitCode: 7, signal: null, stdout: "", stderr: "no disk\n" },
    });
  });

  test("by a signal is a failure that says which", async () => {
    const result = await run(node("process.kill(process.pid, 'SIGKILL')"));
    expect(result).toMatchObject({ ok: false, result: { exitCode: null, signal: "SIGKILL" } });
    expect(result.ok ? "" : result.error).toContain("was ended by SIGKILL");
  });

  test("without reading its input is no failure, however long the input is", async () => {
    const long = { ...alert, annotations: { text: "x".repeat(300_000) } };
    expect(await run(node("process.exit(0)"), { alert: long })).toMatchObject({ ok: true });
    expect(await run(node("require('fs').closeSync(0)"), { alert: long })).toMatchObject({ ok: true });
  });

  test("with more output than is kept is neither held up nor kept whole", async () => {
    const script = "process.stdout.write('o'.repeat(5_000_000), () => process.stderr.write('e'.repeat(5_000_000)))";
    const result = await run(node(script));
    expect(result).toMatchObject({ ok: true, result: { exitCode: 0 } });
    const { stdout, stderr } = result.result as ExecResult;
    expect(stdout).toMatch(/^o+\.\.\. \(cut\)$/);
    expect(stderr).toMatch(/^e+\.\.\. \(cut\)$/);
    expect([stdout, stderr].map((text) => Buffer.byteLength(text))).toEqual([
      EFFECT_RESULT_BYTES_MAX,
      EFFECT_RESULT_BYTES_MAX,
    ]);
  });
});

describe("a program that cannot be started", () => {
  test("is a sentence when there is none of that name", async () => {
    expect(await run(["/no/such/program", "s3cret"])).toEqual({
      ok: false,
      error:
        'The program "/no/such/program" was not found, or the interpreter that its first line names. Give its full path in the policy\'s exec.command.',
    });
  });

  test("is a sentence when it may not be executed", async () => {
    const path = join(folder, "not-executable");
    writeFileSync(path, "#!/bin/sh\n");
    chmodSync(path, 0o644);
    const result = await run([path]);
    expect(result.ok ? "" : result.error).toContain("may not be executed: check its permissions");
  });

  test("is a sentence when its arguments are too long for the system", async () => {
    const result = await run(["/bin/true", "x".repeat(200_000)]);
    expect(result.ok ? "" : result.error).toMatch(/^The program "\/bin\/true" could not be started: .*E2BIG/);
  });

  test("is a sentence when it has no name", async () => {
    expect(await run([])).toMatchObject({ ok: false });
  });

  test("does not start when the attempt was cancelled before", async () => {
    const mark = join(folder, "cancelled");
    expect(await run(["/bin/touch", mark], { signal: AbortSignal.abort() })).toMatchObject({ ok: false });
    expect(readdirSync(folder)).not.toContain("cancelled");
  });
});

describe("a program that is ended", () => {
  let server: Server;
  let port = 0;

  beforeEach(async () => {
    server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    ({ port } = server.address() as AddressInfo);
  });

  afterEach(async () => {
    const closed = once(server, "close");
    server.close();
    await closed;
  });

  /** The next process that says it is ready by connecting; its end is the end of the connection. */
  async function ready(): Promise<{ socket: Socket; ended: Promise<unknown> }> {
    const [socket] = (await once(server, "connection")) as [Socket];
    socket.on("error", () => {}).resume();
    return { socket, ended: once(socket, "close") };
  }

  const connect = (then = "") => `require("net").connect(${port}, "127.0.0.1")${then};`;
  const deafTo = (signal: string) => `process.on("${signal}", () => {});`;

  test("because of its timeout fails with SIGTERM", async () => {
    const result = await runShort(node("setInterval(() => {}, 1e6)"), { timeoutMs: 80 });
    expect(result).toEqual({
      ok: false,
      error: `The program ${JSON.stringify(process.execPath)} did not end within 80ms and was ended.`,
      result: { exitCode: null, signal: "SIGTERM", stdout: "", stderr: "" },
    });
  });

  test("because the attempt is cancelled fails too, also when it then ends with exit code 0", async () => {
    const cancel = new AbortController();
    const script = `process.on("SIGTERM", () => { console.log("tidied"); process.exit(0); }); ${connect()}`;
    const running = runShort(node(script), { signal: cancel.signal });
    const { ended } = await ready();
    cancel.abort();
    expect(await running).toMatchObject({ ok: false, result: { exitCode: 0, stdout: "tidied\n" } });
    await ended;
  });

  test("and ignores SIGTERM is killed", async () => {
    const cancel = new AbortController();
    const running = runShort(node(deafTo("SIGTERM") + connect()), { signal: cancel.signal });
    const { ended } = await ready();
    cancel.abort();
    expect(await running).toMatchObject({ ok: false, result: { exitCode: null, signal: "SIGKILL" } });
    await ended;
  });

  test("takes with it what it started, also what ignores SIGTERM and holds none of its outputs", async () => {
    const cancel = new AbortController();
    const inner = deafTo("SIGTERM") + connect();
    const script = `require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(inner)}], { stdio: "ignore" });`;
    const running = runShort(node(script), { signal: cancel.signal });
    const { ended } = await ready();
    cancel.abort();
    expect(await running).toMatchObject({ ok: false, result: { signal: "SIGTERM" } });
    await ended;
  });

  test("by itself may leave something running that holds its outputs: it is neither waited for nor ended", async () => {
    const inner = connect('.on("data", () => process.exit())');
    const spawn = `require("child_process").spawn(process.execPath, ["-e", ${JSON.stringify(inner)}], { stdio: "inherit" });`;
    const running = run(node(`${spawn} console.log("left"); process.exit(0);`));
    const { socket, ended } = await ready();
    expect(await running).toMatchObject({ ok: true, result: { exitCode: 0, stdout: "left\n" } });
    expect(socket.destroyed).toBe(false);
    socket.write("you may go");
    await ended;
  });
});
