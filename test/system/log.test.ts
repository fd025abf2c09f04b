import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pino } from "pino";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Birth } from "../../src/instance/audit-types.ts";
import type { Instance } from "../../src/instance/checkpoint.ts";
import type { LoggedEntry } from "../../src/instance/draft.ts";
import { initialSnapshot } from "../../src/instance/step.ts";
import { AuditLog } from "../../src/system/audit-line.ts";
import { type Logger, silentLogger } from "../../src/system/logger.ts";
import { fileLogger } from "../../src/system/pino-logger.ts";
import { alert, INSTANCE } from "../support/effect-request.ts";
import { policyWith } from "../support/machine-exploration.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "becalm-log-"));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function linesOf(path: string): Record<string, unknown>[] {
  return readFileSync(path, "utf8")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

describe("a log file", () => {
  test("holds every line, in order, once it is closed", async () => {
    const path = join(folder, "all.log");
    const logger = fileLogger(path);
    for (let number = 0; number < 10_000; number += 1) logger.info({ number }, "counted");
    await logger.close();
    const lines = linesOf(path);
    expect(lines.map(({ number }) => number)).toEqual(Array.from({ length: 10_000 }, (_, number) => number));
    expect(lines[0]).toEqual({ level: 30, time: expect.stringMatching(/^\d{4}-.*Z$/), number: 0, msg: "counted" });
  });

  test("is appended to, never cut", async () => {
    const path = join(folder, "appended.log");
    for (const run of [1, 2]) {
      const logger = fileLogger(path);
      logger.warn({ run }, "started");
      await logger.close();
    }
    expect(linesOf(path).map(({ run }) => run)).toEqual([1, 2]);
  });

  test("closes twice without harm and drops what comes later", async () => {
    const path = join(folder, "closed.log");
    const logger = fileLogger(path);
    await Promise.all([logger.close(), logger.close()]);
    logger.error({}, "too late");
    await logger.close();
    expect(linesOf(path)).toEqual([]);
  });

  test("that cannot be opened is an error with a code that says which", () => {
    const path = join(folder, "no", "such", "folder.log");
    expect(() => fileLogger(path)).toThrow(
      expect.objectContaining({ code: "BECALM_ARGUMENT_INVALID", message: expect.stringContaining(path) as string }),
    );
  });

  test("on a full disk is a warning, once, and neither a crash nor a close that hangs", async () => {
    const warned = once(process, "warning") as Promise<[Error]>;
    const logger = fileLogger("/dev/full");
    for (let number = 0; number < 1_000; number += 1) logger.info({ number }, "counted");
    const [warning] = await warned;
    expect(warning.message).toContain("Log lines to /dev/full are lost: ENOSPC");
    logger.info({}, "goes on");
    await logger.close();
  });
});

describe("the log of `-`", () => {
  const PROGRAM = fileURLToPath(new URL("../support/log-program.ts", import.meta.url));

  test("goes to stderr, and stdout stays free", () => {
    const args = ["scripts/run-ts.mjs", PROGRAM, "1"];
    const { stdout, stderr } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: "utf8" });
    const lines = stderr.trim().split("\n");
    expect(lines).toHaveLength(1_000);
    expect(JSON.parse(lines.at(-1) ?? "")).toMatchObject({ number: 999, msg: "counted" });
    expect(stdout).toBe("done\n");
  });

  test("is no crash, and closes, when nobody reads stderr any more", async () => {
    const args = ["scripts/run-ts.mjs", PROGRAM, "1"];
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
    child.stderr.destroy();
    const chunks: Buffer[] = [];
    child.stdout.on("data", (chunk: Buffer) => chunks.push(chunk));
    const [exitCode] = (await once(child, "close")) as [number];
    expect([exitCode, Buffer.concat(chunks).toString()]).toEqual([0, "done\n"]);
  });
});

describe("the logger of the port", () => {
  test("is fulfilled by a pino logger as it is", () => {
    const lines: string[] = [];
    const logger: Logger = pino({ level: "debug" }, { write: (line: string) => void lines.push(line) });
    logger.debug({ a: 1 }, "x");
    expect(JSON.parse(lines[0] ?? "")).toMatchObject({ a: 1, msg: "x" });
  });

  test("may be silent", () => {
    expect(() => silentLogger.error({}, "nobody hears it")).not.toThrow();
  });
});

const birth: Birth = {
  kind: "action",
  policy: "disk-cleanup",
  policyVersion: "0a1b2c3d4e5f6071",
  group: null,
  createdAtMs: 1,
  alert,
  notice: null,
};
const after: Instance = {
  id: INSTANCE,
  kind: "action",
  policy: birth.policy,
  policyVersion: birth.policyVersion,
  groupId: null,
  epoch: null,
  isOpener: false,
  createdAtMs: 1,
  decidedAtMs: null,
  atMs: 1,
  version: 4,
  snapshot: initialSnapshot(policyWith({})),
  verdict: null,
  reason: null,
  parked: null,
  succeededAtMs: null,
  isObserved: false,
  head: "hash-of-this-entry",
};

describe("an audit entry", () => {
  const entry: LoggedEntry["entry"] = {
    version: 4,
    epoch: null,
    atMs: Date.UTC(2026, 10, 23, 6, 49, 54, 757),
    event: { type: "effect.done", atMs: Date.UTC(2026, 10, 23, 6, 49, 54, 757), attempt: 1, result: { body: "long" } },
    path: ["Processing", "Success"],
    verdict: null,
    reason: "succeeded",
    checkpoint: "hash",
  };

  test("is one line whose message is the event and the state that it led to", () => {
    const lines: unknown[] = [];
    new AuditLog({ ...silentLogger, info: (fields, message) => lines.push({ fields, message }) }).write([
      { instance: INSTANCE, entry, after, birth },
    ]);
    expect(lines).toEqual([
      {
        message: "effect.done -> Success",
        fields: {
          instance: INSTANCE,
          version: 4,
          at: "2026-11-23T06:49:54.757Z",
          event: "effect.done",
          path: "Processing > Success",
          verdict: null,
          reason: "succeeded",
          actor: "becalm",
          policy: "disk-cleanup@0a1b2c3d4e5f6071",
          labels: alert.labels,
          sentence: "Attempt 1 succeeded.",
          hash: "hash-of-this-entry",
        },
      },
    ]);
  });

  test("of an instance that was born before has its labels too, and those that follow wait for them", async () => {
    const lines: unknown[] = [];
    const log = new AuditLog({ ...silentLogger, info: (fields) => lines.push(fields) }, () => Promise.resolve(birth));
    log.write([{ instance: INSTANCE, entry, after, birth: null }]);
    log.write([{ instance: "00-other", entry: { ...entry, version: 9 }, after, birth }]);
    expect(lines).toEqual([]);
    await log.settled();
    expect(lines).toMatchObject([
      { instance: INSTANCE, labels: alert.labels },
      { instance: "00-other", labels: alert.labels },
    ]);
  });

  test("of an instance that cannot be read is a line without labels, not a line that is lost", async () => {
    const lines: unknown[] = [];
    const log = new AuditLog({ ...silentLogger, info: (fields) => lines.push(fields) }, () =>
      Promise.reject(new Error("the store is away")),
    );
    log.write([{ instance: INSTANCE, entry, after, birth: null }]);
    await log.settled();
    expect(lines).toMatchObject([{ instance: INSTANCE, labels: null, hash: "hash-of-this-entry" }]);
  });

  test("that its neighbours share comes out as it would alone, whatever the logger can do", () => {
    const other = { ...entry, version: 9 };
    const logged = [entry, other, entry, entry, entry, entry, entry, other].map((one, index) => ({
      instance: `00-${index}`,
      entry: one,
      after: { ...after, head: `hash-${index}` },
      birth,
    }));
    const written = (write: (logger: Logger) => void, hasChild: boolean) => {
      const lines: string[] = [];
      const logger = pino({ base: null, timestamp: false }, { write: (line: string) => void lines.push(line) });
      write(hasChild ? logger : { ...silentLogger, info: (fields, message) => logger.info(fields, message) });
      return lines.map((line) => JSON.parse(line) as unknown);
    };
    const oneByOne = (logger: Logger) => {
      for (const one of logged) new AuditLog(logger).write([one]);
    };
    const alone = written(oneByOne, true);
    expect(alone).toHaveLength(logged.length);
    expect(written((logger) => new AuditLog(logger).write(logged), true)).toEqual(alone);
    expect(written((logger) => new AuditLog(logger).write(logged), false)).toEqual(alone);
  });

  test("is in a file, byte for byte but for the time of the line, what pino writes of it", async () => {
    const strange = 'a "label"\n\u2028 \ud800 \u0001 \u{1f525} \\';
    const by = `${strange}\n`;
    const event = { type: "approval.denied", atMs: 0, by, why: strange } as const;
    const odd = { ...alert, labels: { ...alert.labels, [strange]: strange } };
    const logged = [
      { instance: INSTANCE, entry, after, birth },
      { instance: `00-${strange}`, entry, after, birth: { ...birth, alert: odd } },
      { instance: INSTANCE, entry: { ...entry, event }, after: { ...after, policy: strange }, birth: null },
    ];
    const path = join(folder, "bytes.log");
    const file = fileLogger(path);
    const pinoLines: string[] = [];
    const bare = pino({ base: null, timestamp: false }, { write: (line: string) => void pinoLines.push(line) });
    for (const logger of [file, bare]) {
      const log = new AuditLog(logger, () => Promise.resolve(birth));
      log.write(logged);
      await log.settled();
    }
    await file.close();
    expect(readFileSync(path, "utf8").replaceAll(/,"time":"[^"]+"/g, "")).toBe(pinoLines.join(""));
    expect(pinoLines).toHaveLength(logged.length);
  });

  test("goes through the `info` of a logger that was made from a file's, and of its children", async () => {
    const file = fileLogger(join(folder, "counted.log"));
    const heard: string[] = [];
    const counting = (logger: Pick<Logger, "debug" | "info" | "warn" | "error">): Logger => ({
      ...logger,
      info: (_, message) => heard.push(message),
    });
    new AuditLog({ ...file, child: (fields) => counting(file.child?.(fields) ?? file) }).write([
      { instance: INSTANCE, entry, after, birth },
    ]);
    const changed = Object.assign(file, {
      info: (_: object, message: string) => heard.push(message),
      child: undefined,
    });
    new AuditLog(changed as Logger).write([{ instance: INSTANCE, entry, after, birth }]);
    await file.close();
    expect(heard).toHaveLength(2);
  });

  test("names the person who acted", () => {
    const event = { type: "approval.denied", atMs: 0, by: "ops", why: "planned" } as const;
    const lines: object[] = [];
    const log = new AuditLog({ ...silentLogger, info: (fields) => lines.push(fields) });
    log.write([
      { instance: INSTANCE, entry: { ...entry, event }, after, birth },
      { instance: INSTANCE, entry: { ...entry, event: { ...event, by: "eve" } }, after, birth },
    ]);
    expect(lines).toMatchObject([{ event: "approval.denied", actor: "ops" }, { actor: "eve" }]);
  });
});
