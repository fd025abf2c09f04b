/**
 * A process that uses an lmdb store: `node ... lmdb-program.ts FOLDER WHAT`. It writes a line to stdout for whatever it has done, at once
 * and without a buffer, so that what stands there came after the store's answer.
 */
import { writeSync } from "node:fs";
import { errorCode, messageOf } from "../../src/model/errors.ts";
import { lmdbStore } from "../../src/stores/lmdb/lmdb-store.ts";
import { commitOf, effectOf, groupOf, newInstance, timerOf } from "../contract/store-fixtures.ts";

const [folder, what, argument] = process.argv.slice(2) as [string, string, string];

/** A pipe that is full is written to again, until its reader has caught up. */
function say(line: string): void {
  for (let left = Buffer.from(`${line}\n`); left.length > 0; ) {
    try {
      left = left.subarray(writeSync(1, left));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error;
    }
  }
}

const store = lmdbStore(folder);
const open = () => store.open({ mode: "live", partitions: 4 });

/** Everything of number `at` shows that the commit is whole. */
async function commit(at: number): Promise<string> {
  const partition = at % 4;
  const id = `0${partition}-${String(at).padStart(6, "0")}`;
  return store.commit({
    ...commitOf({ partition, group: groupOf(0, { id: `group ${at}` }) }),
    commitId: `commit ${at}`,
    instances: [newInstance(id, { body: "x".repeat(600), createdAtMs: at, historyLines: ["y".repeat(600)] })],
    effects: [effectOf(`${id}:1`, { partition })],
    timersArmed: [timerOf(id, at)],
    membersAdded: [{ set: "waiters", instanceId: id, order: at }],
  });
}

async function main(): Promise<void> {
  if (what === "storm") {
    await open();
    // Many at once, again and again, until this process is killed.
    for (let at = 0; ; at += 50) {
      const numbers = Array.from({ length: 50 }, (_, index) => at + index);
      await Promise.all(numbers.map(async (number) => say(`${number} ${await commit(number)}`)));
    }
  }
  if (what === "hold") {
    await open();
    say("open");
    process.stdin.resume();
    process.stdin.on("data", () => void commit(Date.now()).then(() => say("committed")));
    return;
  }
  if (what === "commit") {
    await open();
    say("opened");
    for (let at = 0; at < Number(argument); at += 1) {
      const answer = await commit(at).catch((error: unknown) => `${errorCode(error)} ${messageOf(error)}`);
      say(`answered ${answer}`);
      if (answer.startsWith("BECALM_STORE_FULL")) break;
    }
    await store.close();
    return;
  }
  if (what === "timed") {
    await open();
    const begunAtMs = performance.now();
    const answer = await commit(0);
    say(`${answer} after ${performance.now() - begunAtMs}`);
    await store.close();
    return;
  }
  await open();
  say("open");
  await store.close();
}

await main().catch((error: unknown) => say(`${errorCode(error)} ${messageOf(error)}`));
