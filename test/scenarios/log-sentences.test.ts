/** The lines of the log say what the trail says. */
import { expect, test } from "vitest";
import type { Engine } from "../../src/engine.ts";
import { sentenceOf } from "../../src/present/sentences.ts";
import type { Logger } from "../../src/system/logger.ts";
import { alertOf, EngineWorld, MEMORY, policyOf } from "../support/engine-world.ts";

type Line = { readonly instance: string; readonly hash: string; readonly sentence: string };

function collecting(lines: Line[]): Logger {
  const info = (fields: object) => {
    if ("hash" in fields) lines.push(fields as Line);
  };
  return { debug: () => {}, info, warn: () => {}, error: () => {} };
}

async function sentencesOfTrails(engine: Engine): Promise<ReadonlyMap<string, string>> {
  const said = new Map<string, string>();
  const { instances } = await engine.list({ limit: 1_000 });
  for (const { id } of instances) {
    const history = await engine.get(id).history();
    for (const entry of history.entries) said.set(entry.hash, sentenceOf(entry, history).en);
  }
  return said;
}

test("each line of the log has the sentence of its entry, also where neighbours differ in what they saw, or in who acted", async () => {
  const lines: Line[] = [];
  const world = new EngineWorld(MEMORY);
  world.outcome = ({ attempt }) => (attempt === 1 ? "failed" : "done");
  const policies = [
    { ...policyOf({ function: "skip_when_exceed", count: 3 }, { retry: { limit: 1, delay: "1s" } }), name: "few" },
    { ...policyOf({ function: "defense", count: 2 }), name: "held" },
  ];
  const engine = await world.engine(policies as never, { logger: collecting(lines) });
  for (let number = 0; number < 24; number += 1) {
    await engine.ingest([alertOf("full", { host: `h${number % 2}`, labels: { disk: `d${number}` } })]);
    await world.elapse(400);
  }
  const { instances } = await engine.list({ limit: 1_000 });
  const [skipped, other] = instances.filter(({ state }) => state === "Skipped");
  for (const one of [skipped, other])
    await engine.get(one?.id ?? "").send({ type: "start", approved: true, by: "ann", why: `for ${one?.id}` });
  await world.elapse(3_000);
  const said = await sentencesOfTrails(engine);
  expect(lines.length).toBeGreaterThan(60);
  expect(lines.map(({ sentence }) => sentence)).toEqual(lines.map(({ hash }) => said.get(hash)));
  const seen = new Set(lines.flatMap(({ sentence }) => /\(peers: .*\)/.exec(sentence) ?? []));
  expect(seen.size).toBeGreaterThan(3);
});
