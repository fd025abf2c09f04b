// Makes docs/what-if-example.md and its picture: a bad rule is found, changed, proved and kept fixed, on the storm that
// a real Prometheus sent. Every output on the page is what the command printed.
//   node scripts/what-if-example.mjs            writes what has changed (needs a build: npm run build)
//   node scripts/what-if-example.mjs --check    writes nothing; exit code 1 if something is out of date
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COMMAND = join(ROOT, "dist/src/cli/main.js");
const PAGE = "docs/what-if-example.md";
const PICTURE = "docs/pictures/what-if-tune.svg";

/** Runs a command in the folder of the example; the page shows it as it was given. */
function shell(folder, command, { exit = 0, lines = Number.POSITIVE_INFINITY } = {}) {
  const args = [...command.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain).slice(2);
  const env = { ...process.env, NO_COLOR: "1" };
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, ...args], {
    cwd: folder,
    encoding: "utf8",
    env,
  });
  if (status !== exit)
    throw new Error(`${command} ended with ${status}, not with ${exit} (is the project built?)\n${stderr}`);
  const shown = stdout.trimEnd().split("\n");
  const left = shown.length > lines ? [...shown.slice(0, lines), `... (${shown.length - lines} more lines)`] : shown;
  return `\`\`\`console\n$ ${command}\n${left.join("\n")}\n\`\`\``;
}

const RUN = "npx becalm run --policies policies.yaml --alerts storm.jsonl --store lmdb:storm-store";
const REPORT = "npx becalm report --store lmdb:storm-store";
const GRID = "--vary count=1..6 --vary window=5m,10m --target 'asked <= 60' --target 'newlySkipped == 0'";
const TUNE = `npx becalm tune --policies policies.yaml --policy restart-host --alerts storm.jsonl ${GRID} --svg tune.svg --out new.yaml --limit 2`;
const GATES = "--fail-if 'now.waiting > 35' --fail-if 'now.executed > 40' --no-newly-skipped 'severity=\"critical\"'";
const DIFF = `npx becalm diff --policies new.yaml --against policies.yaml --alerts storm.jsonl ${GATES} --limit 2`;
const BACK = `npx becalm diff --policies policies.yaml --against new.yaml --alerts storm.jsonl ${GATES} --limit 1`;

function ruleOf(folder, file) {
  const lines = readFileSync(join(folder, file), "utf8").split("\n");
  const at = lines.findIndex((line) => line.includes("name: restart-host"));
  return lines
    .slice(at)
    .find((line) => line.includes("converge:"))
    .trim();
}

export function example() {
  const folder = mkdtempSync(join(tmpdir(), "becalm-example-"));
  try {
    copyFileSync(join(ROOT, "demo/policies.yaml"), join(folder, "policies.yaml"));
    copyFileSync(join(ROOT, "demo/storm.jsonl"), join(folder, "storm.jsonl"));
    const parts = {
      run: shell(folder, RUN, { lines: 12 }),
      report: shell(folder, REPORT),
      tune: shell(folder, TUNE),
      diff: shell(folder, DIFF),
      back: shell(folder, BACK, { exit: 1 }),
    };
    const rules = { was: ruleOf(folder, "policies.yaml"), now: ruleOf(folder, "new.yaml") };
    return new Map([
      [PAGE, page(parts, rules)],
      [PICTURE, readFileSync(join(folder, "tune.svg"), "utf8")],
    ]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function page({ run, report, tune, diff, back }, rules) {
  return `# A bad rule, found, fixed and kept fixed

<!-- Made by scripts/what-if-example.mjs: change that script, not this page. -->

For policy authors: [what if](what-if.md), step by step. The storm is one that a real Prometheus sent (\`demo/storm.jsonl\`, 1,594 alerts): a rack was
down for 90 seconds, hosts flapped, disks filled. The policies are \`demo/policies.yaml\`. Every output is what the command prints. To try it yourself, copy both
files into an empty folder, as \`policies.yaml\` and \`storm.jsonl\`.

## What happened

Your own histories are in your store already. Here we take the captured storm through the policies first:

${run}

## Which rule is bad

${report}

\`restart-host\` asked a person 79 times within six minutes: 34 alerts were over before anybody could have answered, and 45 still wait. Nobody reads questions that
come this fast. The other rules work: the alerts that they skipped for a peer have resolved, or still fire when the capture ends.

## What to change

Ask at most 60 questions, and skip nothing that was not skipped before. Which change is the smallest?

${tune}

![What each combination achieves, against how many instances it sends another way](pictures/what-if-tune.svg)

The smallest change is the one under which the fewest instances go another way; the table marks it, and its \`diff\` proves it. \`new.yaml\` is the policy file with only that change. It costs
20 restarts without asking anybody, which is for people to weigh; the gate below limits them.

\`\`\`diff
-    ${rules.was}
+    ${rules.now}
\`\`\`

## What it would have done

${diff}

## The gate that keeps it fixed

Put the storm and the gates into the repository of your policies. A merge request that brings the flood of questions back fails:

${back}

A job for GitHub Actions, for a repository whose \`package.json\` has \`becalm\` among its dependencies, ready to copy to \`.github/workflows/policies.yaml\`:

\`\`\`yaml
name: policies
on: pull_request
jobs:
  what-if:
    runs-on: ubuntu-latest
    permissions: { contents: read, pull-requests: write }
    steps:
      - uses: actions/checkout@v4
        with: { fetch-depth: 0 }
      - uses: actions/setup-node@v4
        with: { node-version: 20 }
      - run: npm ci
      - run: npx becalm check policies.yaml
      - run: git show "origin/\${{ github.base_ref }}:policies.yaml" > in-force.yaml
      - run: >
          npx becalm diff --policies policies.yaml --against in-force.yaml --alerts storm.jsonl --markdown
          ${GATES} > diff.md
      - if: always()
        run: gh pr comment "\${{ github.event.number }}" --body-file diff.md
        env: { GH_TOKEN: "\${{ github.token }}" }
\`\`\`

[What if](what-if.md) describes each of these commands.
`;
}

function textOf(path) {
  try {
    return readFileSync(join(ROOT, path), "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** What differs from what the commands print, with the text that it should have. */
export function outdated() {
  return [...example()].filter(([path, text]) => textOf(path) !== text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const changed = outdated();
  if (process.argv.includes("--check")) {
    if (changed.length > 0) console.error(`out of date: ${changed.map(([path]) => path).join(", ")}`);
    process.exitCode = changed.length > 0 ? 1 : 0;
  } else
    for (const [path, text] of changed) {
      writeFileSync(join(ROOT, path), text);
      console.error(`wrote ${path}`);
    }
}
