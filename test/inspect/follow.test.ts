import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { describe, expect, onTestFinished, test } from "vitest";
import { createMachine } from "xstate";
import { actionInstanceMachine } from "../../machines/index.ts";
import { type Engine, redisStore } from "../../src/index.ts";
import { becalm, ROOT, startBecalm } from "../support/command.ts";
import { useRedis } from "../support/redis-server.ts";
import { alertOf, comparable, type Frame, logPolicy, receive, startEngine } from "./inspect-world.ts";

const redis = useRedis();

async function engineAt(namespace: string, policies: readonly object[] = [logPolicy()]): Promise<Engine> {
  const store = redisStore(redis.url, { namespace });
  onTestFinished(() => store.close());
  return startEngine(policies, { store });
}

async function succeed(engine: Engine, ...numbers: readonly number[]): Promise<string[]> {
  const { instances } = await engine.ingest(numbers.map((number) => alertOf(number)));
  for (const { id } of instances) await engine.get(id).waitFor(({ state }) => state === "Success");
  return instances.map(({ id }) => id);
}

type Address = { readonly url: string; readonly socketUrl: string; readonly port: number };

/** Starts `becalm inspect ... --json` and gives the address that it prints. */
async function inspect(namespace: string, ...args: readonly string[]): Promise<Address> {
  const { child, ended } = startBecalm(["inspect", ...args, "--json", "--store", redis.url, "--namespace", namespace]);
  onTestFinished(async () => {
    child.kill("SIGTERM");
    expect((await ended).code).toBe(0);
  });
  const lines = createInterface({ input: child.stdout as NonNullable<ChildProcess["stdout"]> });
  return new Promise((resolve, reject) => {
    lines.once("line", (line) => resolve(JSON.parse(line) as Address));
    void ended.then(({ stderr }) => reject(new Error(stderr)));
  });
}

function typesOf(frames: readonly Frame[], id: string): string[] {
  return frames.filter(({ sessionId }) => sessionId === id).map(({ type }) => type.slice("@xstate.".length));
}

describe("becalm inspect", () => {
  test("follows what other processes commit, from what was there on", async () => {
    const engine = await engineAt("live");
    const [old] = await succeed(engine, 1);
    const { socketUrl } = await inspect("live", "--live");
    const received = receive(socketUrl);
    await received.count(1);
    expect(typesOf(received.frames, old as string)).toEqual(["actor"]);
    const [id] = await succeed(engine, 2);
    await received.until("its last step", (frames) =>
      frames.some(
        ({ sessionId, snapshot }) =>
          sessionId === id && (snapshot as { value?: unknown } | undefined)?.value === "Success",
      ),
    );
    await engine.get(id as string).send({ type: "end", by: "ann", why: "done" });
    await received.until("its end", (frames) =>
      frames.some(
        ({ sessionId, event }) => sessionId === id && (event as { type?: string } | undefined)?.type === "end",
      ),
    );
    expect(typesOf(received.frames, old as string)).toEqual(["actor"]);
  });

  test("shows only the instances of a policy, of a group, or those that are named", async () => {
    const rule = { function: "trigger", by: ["alertname"], count: 1, window: "5m" };
    const policies = [logPolicy(), { ...logPolicy({ converge: rule }), name: "grouped" }];
    const engine = await engineAt("chosen", policies);
    const { instances } = await engine.ingest([alertOf(1), alertOf(2)]);
    const ids = (policy: string) => instances.filter((one) => one.policy === policy).map(({ id }) => id);
    const group = (await engine.get(ids("grouped")[0] as string).snapshot()).group as string;
    const choices: [readonly string[], readonly string[]][] = [
      [["--policy", "log"], ids("log")],
      [
        ["--group", group],
        [...ids("grouped"), group],
      ],
      [[ids("log")[1] as string], ids("log").slice(1)],
      [[], [...instances.map(({ id }) => id), group]],
    ];
    for (const [args, expected] of choices) {
      const { socketUrl } = await inspect("chosen", ...args);
      const received = receive(socketUrl);
      await received.count(expected.length);
      expect(new Set(received.frames.map(({ sessionId }) => sessionId))).toEqual(new Set(expected));
    }
  });

  test("plays a stored history step by step, each frame as it was live", async () => {
    const engine = await engineAt("replayed");
    const [id] = await succeed(engine, 1);
    const { socketUrl } = await inspect("replayed", id as string, "--replay", "--speed", "1000");
    const received = receive(socketUrl);
    await received.count(7);
    expect(typesOf(received.frames, id as string)).toEqual([
      "actor",
      "event",
      "snapshot",
      "event",
      "snapshot",
      "event",
      "snapshot",
    ]);
    const { entries } = await engine.get(id as string).history();
    expect(
      comparable(received.frames)
        .flatMap(({ type, event }) => (type === "@xstate.event" ? [event] : []))
        .slice(1),
    ).toEqual(entries.map(({ event }) => event));
  });

  test("keeps redacted fields from every viewer", async () => {
    const engine = await engineAt("redacted");
    const [id] = await succeed(engine, 1);
    await engine.get(id as string).send({ type: "end", by: "ann", why: "hunter2" });
    const { socketUrl } = await inspect(
      "redacted",
      id as string,
      "--replay",
      "--speed",
      "1000",
      "--redact",
      "why, token",
    );
    const received = receive(socketUrl);
    await received.count(9);
    expect(JSON.stringify(received.frames)).toContain('"by":"ann"');
    expect(JSON.stringify(received.frames)).not.toContain("hunter2");
  });

  test("says what is wrong with its arguments", async () => {
    const engine = await engineAt("wrong");
    const [id] = await succeed(engine, 1);
    const where = ["--store", redis.url, "--namespace", "wrong"];
    const code = async (...args: readonly string[]) => (await becalm(["inspect", ...args, ...where])).code;
    expect(await code("--live", "--replay")).toBe(2);
    expect(await code(id as string, "--policy", "log")).toBe(2);
    expect(await code("--format", "svg")).toBe(2);
    expect(await code("--speed", "0")).toBe(2);
    expect(await code("--port", "70000")).toBe(2);
    expect(await code("--inspector-url", "nonsense")).toBe(2);
    expect(await code("00-aaaaaaaaaaaaaaaaaaaaaaaa")).toBe(3);
    expect(await code(id as string, "--format", "mermaid")).toBe(0);
  });
});

describe("docs/inspecting.md", () => {
  const text = readFileSync(join(ROOT, "docs/inspecting.md"), "utf8");

  test("names commands that work as they are written", async () => {
    const engine = await engineAt("recipes", [{ ...logPolicy(), name: "page-oncall" }]);
    const [id] = await succeed(engine, 1);
    const commands = [...text.matchAll(/^becalm inspect (.+)$/gm)].map((match) => match[1] as string);
    expect(commands).toHaveLength(2);
    for (const command of commands) {
      const args = command
        .replace(/--store \S+/, "")
        .replace(/\b\d\d-[0-9a-f]{24}/, id as string)
        .trim()
        .split(/\s+/);
      const { socketUrl } = await inspect("recipes", ...args);
      const received = receive(socketUrl);
      await received.until("the instance", (frames) => frames.some(({ sessionId }) => sessionId === id));
    }
  });

  test("prints a machine that can be read again, with every state and transition", () => {
    const { context: _, ...config } = actionInstanceMachine.config;
    const read = createMachine(JSON.parse(JSON.stringify(config)) as { id: string });
    const shape = (machine: { states: Record<string, { on: object }> }) =>
      Object.entries(machine.states).map(([name, { on }]) => [name, Object.keys(on)]);
    expect(shape(read as never)).toEqual(shape(actionInstanceMachine as never));
    expect(text).toContain("const { context: _, ...config } = actionInstanceMachine.config;");
  });
});
