import { expect, test } from "vitest";
import { createEngine, explain } from "../../src/index.ts";
import { sentenceOf } from "../../src/present/sentences.ts";

test("an entry of a history explains itself in both languages, and with its history as `becalm show` does", async () => {
  const engine = createEngine({ policies: [{ name: "clean", match: [], action: { log: {} } }] });
  await engine.silence({ match: ['rack="a"'], toMs: Date.now() + 60_000, by: "ops", why: "rack move" });
  const { instances } = await engine.ingest([{ labels: { alertname: "DiskFull", rack: "a" } }]);
  const [made] = await engine.silences();
  await engine.expireSilence(made?.id ?? "");
  const history = await engine.get(instances[0]?.id ?? "").history();
  await engine.stop();

  const [silenced, again] = history.entries;
  if (silenced === undefined || again === undefined) throw new Error("two entries are missing");
  expect(explain(silenced)).toMatch(/^Action "clean" is silenced: ops silenced it until .* \(rack move\)/);
  expect(explain(silenced, { lang: "zh" })).toMatch(/^套餐处理【clean】已屏蔽， 屏蔽原因：ops/);
  expect(explain(again)).toBe(
    'It is decided again (the silence is over). Action "clean" runs: no convergence rule governs it.',
  );
  expect(explain(again, { history })).toBe(sentenceOf(again, history).en);
  expect(explain(again, { history })).toContain("for the 1st time");
  expect(() => explain(silenced, { lang: "fr" as "en" })).toThrow(/^Unknown language "fr"/);
});
