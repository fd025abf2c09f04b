/** What the engine's own notices say to those who get them. */
import { afterEach, describe, expect, test } from "vitest";
import { type ConvergeDocument, createEngine, type Engine, memoryStore } from "../../src/index.ts";

type Line = Record<string, unknown> & { readonly kind?: string };
const NOW_MS = 1_764_000_000_000;
let engine: Engine;

/** Alerts of one cluster under a rule, and the lines of the log that tell of notices. */
async function storm(converge: ConvergeDocument, alerts: number): Promise<Line[]> {
  const lines: Line[] = [];
  const note = (fields: object, message: string) => void lines.push({ ...(fields as Line), message });
  const logger = { debug: () => {}, info: note, warn: () => {}, error: () => {} };
  let nowMs = NOW_MS;
  const due: { atMs: number; fn: () => void }[] = [];
  const clock = {
    now: () => nowMs,
    schedule: (delayMs: number, fn: () => void) => {
      const entry = { atMs: nowMs + delayMs, fn };
      due.push(entry);
      return () => void due.splice(due.indexOf(entry), 1);
    },
  };
  engine = createEngine({
    policies: [{ name: "restart", match: ['alertname="HostDown"'], action: { log: {} }, converge }],
    store: memoryStore({ now: () => nowMs }),
    clock,
    logger,
  });
  await engine.start();
  for (let at = 0; at < alerts; at += 1) {
    const labels = { alertname: "HostDown", cluster: "core", host: `web-${at}` };
    await engine.ingest([
      { labels, annotations: { summary: `web-${at} is down` }, startsAt: new Date(nowMs).toISOString() },
    ]);
  }
  const isOver = () => lines.some(({ kind }) => kind === "approval-request" || kind === "summary");
  for (let turn = 0; turn < 200 && !isOver(); turn += 1) {
    nowMs += 10_000;
    for (const { fn } of due.splice(0).filter(({ atMs }) => atMs <= nowMs)) fn();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return lines.filter(({ kind }) => kind === "approval-request" || kind === "summary");
}

afterEach(() => engine.stop());

describe("an approval request", () => {
  test("says who waits, why, under which rule, how many, until when, and what answers it", async () => {
    const [line] = await storm({ function: "defense", by: ["cluster"], count: 1, window: "1h" }, 4);
    expect(line?.["approval"]).toMatchObject({
      alert: {
        labels: { alertname: "HostDown", cluster: "core", host: "web-1" },
        annotations: { summary: "web-1 is down" },
      },
      dimensions: "cluster=core",
      rule: { en: "at most 1 per cluster=core in 1h; a person decides about the others" },
      dueAt: expect.stringMatching(/^2025-.*Z$/),
      held: 1,
      sentence: {
        en: 'Action "restart" is held for an approval: the group reached its threshold: a human decides (peers: 1 executed, 1 succeeded).',
      },
      commands: {
        approve: expect.stringMatching(/^becalm approve --group 'restart:!sha1#[0-9a-f]{40}' --by WHO --why TEXT$/),
        deny: expect.stringMatching(/^becalm deny --group /),
      },
      text: {
        en: expect.stringMatching(
          /^restart \(cluster=core\): 1 held\. Action .* Answer by 2025-.*Z: becalm approve --group /,
        ),
        zh: expect.stringMatching(/^restart（cluster=core）：1 个待审批。套餐【restart】/),
      },
    });
  });
});

describe("a summary", () => {
  test("says of which alert and group it is", async () => {
    const [line] = await storm({ function: "collect", by: ["cluster"], count: 1, window: "5m" }, 4);
    expect(line?.["summary"]).toMatchObject({
      skipped: 3,
      dimensions: "cluster=core",
      alert: { labels: { host: "web-0" } },
      rule: { zh: expect.stringContaining("cluster=core") },
    });
  });
});
