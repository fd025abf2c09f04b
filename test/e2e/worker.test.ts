/** `becalm worker` beside a server that leaves effects to it, on a real Redis. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { redisStore } from "../../src/stores/redis/redis-store.ts";
import { commitOf } from "../contract/store-fixtures.ts";
import { becalm, jsonLines, type RunningCommand, startBecalm, useFiles } from "../support/command.ts";
import { sendJson } from "../support/http-client.ts";
import { useRedis } from "../support/redis-server.ts";
import { type Serving, startServe, stopServe } from "../support/serve-command.ts";

const redis = useRedis();

/** `said`: on stderr so far. */
type RunningWorker = RunningCommand & { readonly said: () => string };

describe("a worker of a server that leaves effects", () => {
  const file = useFiles();
  let serving: Serving;
  let store: string[];
  let ran: string;
  const running: RunningWorker[] = [];
  const send = (name: string, policy: string) =>
    sendJson(`${serving.url}/api/v2/alerts`, [{ labels: { alertname: name, for: policy } }]);
  const states = async () => {
    const { stdout } = await becalm(["ls", "--json", ...store]);
    return jsonLines<{ policy: string; state: string; id: string }>(stdout).map(
      ({ policy, state }) => `${policy} ${state}`,
    );
  };

  async function startWorker(...args: string[]) {
    const worker = startBecalm(["worker", ...store, ...args]);
    let said = "";
    worker.child.stderr?.on("data", (piece: string) => {
      said += piece;
    });
    running.push({ ...worker, said: () => said });
    await expect.poll(() => said).toMatch(/becalm(: working|：为)/);
    return running.at(-1) as RunningWorker;
  }

  beforeAll(async () => {
    ran = file("ran", "");
    const command = ["sh", "-c", `cat >> ${ran}; echo >> ${ran}`];
    const policies = {
      policies: [
        { name: "program", match: ['for="program"'], action: { exec: { command } } },
        { name: "told", match: ['for="told"'], action: { log: {} } },
      ],
    };
    store = ["--store", redis.url, "--namespace", "worked"];
    serving = await startServe([
      "--policies",
      file("policies.yaml", JSON.stringify(policies)),
      "--leave-effects",
      ...store,
    ]);
  });
  afterAll(async () => {
    for (const { child } of running) child.kill("SIGTERM");
    await Promise.all(running.map(({ ended }) => ended));
    await stopServe(serving);
  });

  test("runs what it is able to run and what it was asked for, says so, and stops at once when nothing is under way", async () => {
    await send("a", "program");
    await send("b", "told");
    const first = await startWorker();
    expect(first.said()).toContain("programs only with --allow-exec");
    await expect.poll(states).toEqual(["told Success", "program Processing"]);
    first.child.kill("SIGTERM");
    expect((await first.ended).code).toBe(0);
    await startWorker("--allow-exec", "--policy", "program", "--rate", "program=100/1s", "--lang", "zh");
    await expect.poll(states).toEqual(["told Success", "program Success"]);
    expect(JSON.parse(readFileSync(ran, "utf8"))).toMatchObject({ policy: "program", attempt: 1 });
  });

  test("begins nothing more after SIGTSTP, and goes on after SIGCONT", async () => {
    const worker = running.at(-1) as RunningWorker;
    worker.child.kill("SIGTSTP");
    await expect.poll(worker.said).toContain("becalm：已暂停");
    await send("c", "program");
    // Long enough for several looks; a machine on which it is not proves nothing, and fails nothing.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    expect(await states()).toContain("program Processing");
    worker.child.kill("SIGCONT");
    await expect.poll(worker.said).toContain("becalm：继续执行");
    await expect.poll(states).not.toContain("program Processing");
  });

  test("dead letters are listed, shown and resumed, beside the store and through the server", async () => {
    await send("d", "told");
    await expect.poll(states).toContain("told Processing");
    const own = redisStore(redis.url, { namespace: "worked" });
    await own.open({ mode: "live" });
    const [effect] = await own.claimEffects({ owner: "gone", leaseMs: 60_000, limit: 1 });
    const id = effect?.id ?? "";
    await own.outbox.setAside({ owner: "gone", effectIds: [id] });
    const server = ["--server", serving.url];
    for (const where of [store, server]) {
      const listed = await becalm(["dead-letters", "--json", ...where]);
      expect(jsonLines(listed.stdout)).toMatchObject([{ id, policy: "told", attempt: 1, deliveries: 1 }]);
      const shown = await becalm(["dead-letters", "show", id, ...where]);
      expect([shown.code, shown.stdout]).toEqual([0, expect.stringMatching(/delivered 1 times[\s\S]*alertname/)]);
      expect((await becalm(["dead-letters", "resume", id, ...where])).code).toBe(0);
      expect((await becalm(["dead-letters", "resume", id, ...where])).code).toBe(3);
      const [again] = await own.claimEffects({ owner: "gone", leaseMs: 60_000, limit: 1 });
      expect(again).toMatchObject({ id, deliveries: 1 });
      await own.outbox.setAside({ owner: "gone", effectIds: [id] });
    }
    await own.close();
    expect((await becalm(["dead-letters", "resume", "--all", "--json", ...server])).stdout).toContain(id);
    await startWorker("--kind", "log");
    await expect.poll(states).not.toContain("told Processing");
    for (const where of [store, server])
      expect((await becalm(["dead-letters", "resume", "--all", ...where])).code).toBe(0);
    expect((await becalm(["dead-letters", "bury", ...store])).code).toBe(2);
  });

  test("resume --all resumes all, however many there are", async () => {
    const own = redisStore(redis.url, { namespace: "many" });
    await own.open({ mode: "live", partitions: 1 });
    const value = JSON.stringify({ instanceId: "00-a", groupId: null, attempt: 1, atMs: 0, turn: 0, order: [0] });
    const effects = Array.from({ length: 1_001 }, (_, index) => ({ id: `00-a_${index}_1`, partition: 0, value }));
    await own.commit(commitOf({ effects }));
    const effectIds = effects.map(({ id }) => id);
    await own.outbox.claim({ owner: "gone", leaseMs: 60_000, effectIds });
    await own.outbox.setAside({ owner: "gone", effectIds });
    const many = ["--store", redis.url, "--namespace", "many"];
    expect((await becalm(["dead-letters", "resume", "--all", ...many])).stdout).toContain("1001 attempts");
    expect(await own.outbox.deadLetters({ limit: 9 })).toEqual([]);
    await own.close();
  });

  test("is refused with what to do for a store that has one writer, a wrong kind, and a namespace that is missing", async () => {
    const refused = async (...args: string[]) => {
      const { code, stderr } = await becalm(["worker", ...args]);
      return [code, stderr];
    };
    expect(await refused("--store", "lmdb:/tmp/none")).toEqual([2, expect.stringContaining("Redis")]);
    expect(await refused(...store, "--kind", "webhok")).toEqual([2, expect.stringContaining("approval-request")]);
    expect(await refused(...store, "--rate", "web=5")).toEqual([2, expect.stringContaining("POLICY=N/TIME")]);
    expect(await refused("--store", redis.url, "--namespace", "none")).toEqual([
      3,
      expect.stringContaining("namespace"),
    ]);
  });
});
