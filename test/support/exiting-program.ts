/** A program whose engine runs an exec action, and that exits in the middle of it: `exits`, or `throws` what nobody catches. */
import { existsSync } from "node:fs";
import { createEngine } from "../../src/index.ts";

const [how, mark = ""] = process.argv.slice(2);
// It marks that it began, waits for what it started itself, and marks that it was asked to end and could.
const script = 'trap \'wait; touch "$0.ended"; exit\' TERM; sleep 600 & touch "$0"; wait';
const engine = createEngine({
  policies: [{ name: "act", match: [], action: { exec: { command: ["/bin/sh", "-c", script, mark] } } }],
  allowExec: true,
});
await engine.start();
await engine.ingest([{ labels: { alertname: "Down" } }]);
const looking = setInterval(() => {
  if (!existsSync(mark)) return;
  clearInterval(looking);
  if (how === "throws") throw new Error("nobody catches this");
  process.exit(7);
}, 10);
