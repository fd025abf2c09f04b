/** What developers run by command says what it takes, and does nothing meanwhile. */
import { spawnSync } from "node:child_process";
import { expect, test } from "vitest";

const CHAOS = ["--import", "./scripts/ts-loader.mjs", "test/chaos/main.ts"];
const COMMANDS = [
  {
    name: "chaos",
    given: CHAOS,
    help: /--scenario NAME .*default short[\s\S]*named points of lmdb/,
    wrong: { given: ["--scenario", "quite"], said: /"quite" is unknown.*quiet, race, short, killed servers/ },
  },
  {
    name: "compare-builds",
    given: ["scripts/compare-builds.mjs"],
    help: /--pairs N .*default 7/,
    wrong: { given: ["..", "--only", "storms"], said: /"storms" is unknown.*storm, all-execute/ },
  },
  {
    name: "house-figures",
    given: ["scripts/house-figures.mjs"],
    help: /DIR .*default: this one/,
    wrong: { given: ["--frobnicate"], said: /Unknown option '--frobnicate'/ },
  },
  {
    name: "compare-builds --serve",
    given: ["scripts/compare-builds.mjs", "--serve"],
    help: /--serve .*its parent asks for/,
    wrong: { given: [".."], said: /--serve is for a process that this script starts/ },
  },
  {
    name: "processes",
    given: ["scripts/processes.mjs"],
    help: /rolling .*refuse[\s\S]*--processes N .*default 2/,
    wrong: { given: ["roling"], said: /Name a figure: cpu, one-group, timers, killed, stopped, rolling/ },
  },
  {
    name: "worker-figures",
    given: ["scripts/worker-figures.mjs"],
    help: /--rate N .*default 1000/,
    wrong: { given: ["idel"], said: /Name a figure: idle, interrupted, results/ },
  },
] as const;

const run = (given: readonly string[]) => spawnSync(process.execPath, given, { encoding: "utf8", timeout: 60_000 });

test.each(COMMANDS)("$name --help lists options and defaults; what is wrong ends with 2 and a hint", (command) => {
  const help = run([...command.given, "--help"]);
  expect({ status: help.status, stderr: help.stderr }).toEqual({ status: 0, stderr: "" });
  expect(help.stdout).toMatch(command.help);
  const wrong = run([...command.given, ...command.wrong.given]);
  expect(wrong.status).toBe(2);
  expect(wrong.stderr).toMatch(command.wrong.said);
  expect(wrong.stderr).not.toContain("    at ");
});
