// Draws the pictures of README.md and docs/ that are not charts of machines: the captured storm as the demo decides it,
// the way of a commit, and a group's life under each convergence function.
//   node scripts/draw-pictures.mjs            writes what has changed (needs a build: npm run build)
//   node scripts/draw-pictures.mjs --check    writes nothing; exit code 1 if a picture is out of date
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const COMMAND = join(ROOT, "dist/src/cli/main.js");
const STORM = ["--policies", "demo/policies.yaml", "--alerts", "demo/storm.jsonl"];

/** Text that stays readable when a page shows 760 units in 380 pixels. */
const STYLE = `
  text { font: 20px ui-sans-serif, system-ui, sans-serif; fill: #24292f }
  .big { font-size: 40px; font-weight: 700 } .small { font-size: 18px; fill: #57606a } .head { font-weight: 600 }
  .mono { font-family: ui-monospace, monospace; font-size: 18px }
  .alert { fill: #d1242f; opacity: .75 } .run { fill: #1a7f37 } .skip { fill: #8c959f } .wait { fill: #bf8700 }
  .box { fill: #f6f8fa; stroke: #8c959f; stroke-width: 1.5 } .key { fill: #ddf4ff; stroke: #0969da; stroke-width: 2 }
  .line { stroke: #57606a; stroke-width: 2; fill: none } .faint { stroke: #d0d7de; stroke-width: 1.5 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .small { fill: #9198a1 } .alert { fill: #f85149 } .run { fill: #3fb950 }
    .skip { fill: #656c76 } .wait { fill: #d29922 } .box { fill: #151b23; stroke: #656c76 }
    .key { fill: #121d2f; stroke: #4493f8 } .line { stroke: #9198a1 } .faint { stroke: #3d444d }
  }`;

const escaped = (text) => text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
const number = (value) => value.toLocaleString("en-US");
const text = ([x, y], content, attributes = "") => `<text x="${x}" y="${y}" ${attributes}>${escaped(content)}</text>`;
const rect = ([x, y, width, height], attributes) =>
  `<rect x="${x}" y="${y}" width="${width}" height="${height}" ${attributes}/>`;

function svg({ width, height, title }, parts) {
  const head = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" role="img" aria-label="${escaped(title)}">`;
  return `${[head, `<title>${escaped(title)}</title>`, `<style>${STYLE}\n</style>`, ...parts, "</svg>"].join("\n")}\n`;
}

// The storm.

const BIN_COUNT = 76;
const [LEFT, RIGHT] = [20, 740];

function stormRun() {
  const { status, stdout, stderr } = spawnSync(process.execPath, [COMMAND, "run", ...STORM, "--json"], {
    cwd: ROOT,
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
  });
  if (status !== 0) throw new Error(`becalm run failed (is the project built?)\n${stderr}`);
  const lines = stdout
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
  return { rows: lines.slice(0, -1), summary: lines.at(-1).summary };
}

function requestsOfStorm() {
  const lines = readFileSync(join(ROOT, "demo/storm.jsonl"), "utf8").trim().split("\n");
  return lines.map((line) => {
    const { receivedAt, body } = JSON.parse(line);
    return { atMs: Date.parse(receivedAt), count: Array.isArray(body) ? body.length : body.alerts.length };
  });
}

function drawStorm() {
  const { rows, summary } = stormRun();
  const requests = requestsOfStorm();
  const [fromMs, toMs] = [requests[0].atMs, requests.at(-1).atMs];
  const place = (atMs) => Math.min(Math.max((atMs - fromMs) / (toMs - fromMs), 0), 1);
  const bins = new Array(BIN_COUNT).fill(0);
  for (const { atMs, count } of requests) bins[Math.min(Math.floor(place(atMs) * BIN_COUNT), BIN_COUNT - 1)] += count;
  const most = Math.max(...bins);
  const step = (RIGHT - LEFT) / BIN_COUNT;
  const bars = bins.map((count, index) => {
    const height = Math.round((count / most) * 110);
    return rect([(LEFT + index * step).toFixed(1), 180 - height, (step - 1.5).toFixed(1), height], 'class="alert"');
  });
  const executed = rows.filter(({ attempts, policy }) => attempts > 0 && policy !== undefined);
  const stacked = new Map();
  const dots = executed.map(({ alert }) => {
    const x = Math.round(LEFT + 8 + place(Date.parse(alert.startsAt)) * (RIGHT - LEFT - 16));
    const column = Math.round(x / 16);
    const level = stacked.get(column) ?? 0;
    stacked.set(column, level + 1);
    return `<circle cx="${column * 16}" cy="${330 - level * 16}" r="7" class="run"/>`;
  });
  const minutes = Math.round((toMs - fromMs) / 60_000);
  const shown = `${number(summary.alerts)} alerts become ${summary.executed} actions`;
  return svg({ width: 760, height: 410, title: `A captured storm: ${shown}` }, [
    text([LEFT, 44], `${number(summary.alerts)} alerts`, 'class="big"'),
    text([RIGHT, 44], `a rack down, full disks: ${minutes} minutes`, 'class="small" text-anchor="end"'),
    ...bars,
    `<line x1="${LEFT}" y1="181" x2="${RIGHT}" y2="181" class="faint"/>`,
    text([LEFT, 238], `${summary.executed} actions`, 'class="big"'),
    text([RIGHT, 238], `out of ${summary.instances} possible ones`, 'class="small" text-anchor="end"'),
    ...dots,
    `<line x1="${LEFT}" y1="345" x2="${RIGHT}" y2="345" class="faint"/>`,
    rect([LEFT, 366, 14, 14], 'class="skip"'),
    text([LEFT + 24, 380], `${summary.skipped} skipped, each with its reason`),
    rect([405, 366, 14, 14], 'class="wait"'),
    text([429, 380], `${summary.waiting} wait for a human's answer`),
  ]);
}

// The way of a commit.

const WAY = [
  ["alert", "webhook, API v2, a file, a program", "box"],
  ["receipt and route", "which episode, which policies, which group", "box"],
  ["mailbox", "a group decides in order; a batch at a time", "box"],
  ["read", "group, instances, episodes: one trip, or known", "box"],
  ["decide", "pure: statechart and convergence function", "box"],
  ["ONE commit", "checkpoints, audit, effects, timers: all or nothing", "key"],
  ["outbox and timers", "what the commit left to be done", "box"],
  ["effect", "webhook, program, handler: the attempt as fence", "box"],
];

function drawCommit() {
  const height = 66;
  const gap = 22;
  const parts = [];
  for (const [index, [name, what, kind]] of WAY.entries()) {
    const y = 16 + index * (height + gap);
    parts.push(rect([110, y, 560, height], `rx="10" class="${kind}"`));
    parts.push(text([130, y + 28], name, 'class="head"'), text([130, y + 53], what, 'class="small"'));
    if (index > 0) parts.push(`<path class="line" d="M390 ${y - gap} v${gap - 6} m-6 -6 l6 7 l6 -7"/>`);
  }
  const middle = (index) => 16 + index * (height + gap) + height / 2;
  // A lost compare-and-set reads again; a result or a firing timer is a command like any other.
  parts.push(`<path class="line" d="M670 ${middle(5)} h34 V${middle(3)} h-28 m6 -6 l-7 6 l7 6"/>`);
  parts.push(
    text(
      [712, middle(4) + 6],
      "conflict",
      `class="small" transform="rotate(90 712 ${middle(4)})" text-anchor="middle"`,
    ),
  );
  parts.push(`<path class="line" d="M110 ${middle(7)} H60 V${middle(2)} h44 m-6 -6 l7 6 l-7 6"/>`);
  parts.push(
    text(
      [44, middle(4.5)],
      "results, timers, people",
      `class="small" transform="rotate(-90 44 ${middle(4.5)})" text-anchor="middle"`,
    ),
  );
  const total = 16 + WAY.length * (height + gap);
  return svg({ width: 760, height: total, title: "The way of a commit, from an alert to its effect and back" }, parts);
}

// A group's life.

/**
 * Six instances that arrive while the attempt of the first one runs, count 2: what becomes of each. `r` runs, `s` is
 * skipped, `w` waits first, `a` asks a human.
 */
const LIVES = [
  ["skip_when_success", "r w w w w w", "skipped as soon as the first succeeds"],
  ["approve_when_failed", "r w w w w w", "the same; if it fails, a human decides, once"],
  ["skip_when_proceed", "r s s s s s", "skipped while a peer runs, or just has"],
  ["wait_when_proceed", "r w w w w w", "one at a time, in order of arrival"],
  ["skip_when_exceed", "r r s s s s", "at most count"],
  ["defense", "r r a a a a", "above count nothing runs without a human"],
  ["collect", "r r s s s s", "the rest goes into one summary"],
  ["collect_alarm", "r s s s s s", "from the opener on all go into one summary"],
  ["trigger", "s r s s s s", "only when count is reached, and once"],
  ["relevance", "r r r r r r", "related, nothing else"],
];
const MARKS = { r: ["run", "runs"], s: ["skip", "skipped"], w: ["wait", "waits"], a: ["wait", "asks"] };

function mark(kind, x, y) {
  const [style] = MARKS[kind];
  if (kind === "r") return `<circle cx="${x}" cy="${y}" r="11" class="${style}"/>`;
  if (kind === "s") return rect([x - 10, y - 3, 20, 6], `class="${style}"`);
  if (kind === "w") return `<circle cx="${x}" cy="${y}" r="9" class="line" stroke-dasharray="4 3"/>`;
  return `<path d="M${x} ${y - 12} l12 22 h-24 z" class="${style}"/>`;
}

function drawGroups() {
  const parts = [text([20, 34], "Six alerts while the first attempt runs; count 2", 'class="head"')];
  for (const [index, [name, kinds, what]] of LIVES.entries()) {
    const y = 86 + index * 68;
    parts.push(text([20, y], name, 'class="mono"'));
    parts.push(...kinds.split(" ").map((kind, place) => mark(kind, 320 + place * 62, y - 6)));
    parts.push(text([20, y + 26], what, 'class="small"'));
  }
  const foot = 96 + LIVES.length * 68;
  const legend = [
    ["r", 40],
    ["s", 190],
    ["w", 360],
    ["a", 540],
  ];
  for (const [kind, x] of legend)
    parts.push(mark(kind, x, foot - 6), text([x + 24, foot], kind === "a" ? "asks a human" : MARKS[kind][1]));
  return svg(
    { width: 760, height: foot + 24, title: "Six alerts of one group under each convergence function" },
    parts,
  );
}

export function pictures() {
  return new Map([
    ["docs/pictures/storm.svg", drawStorm()],
    ["docs/pictures/commit.svg", drawCommit()],
    ["docs/pictures/groups.svg", drawGroups()],
  ]);
}

function textOf(path) {
  try {
    return readFileSync(join(ROOT, path), "utf8");
  } catch (error) {
    if (error.code === "ENOENT") return undefined;
    throw error;
  }
}

/** Paths of the pictures that are not what this script draws. */
export function outdated() {
  return [...pictures()].filter(([path, drawn]) => textOf(path) !== drawn);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const changed = outdated();
  if (process.argv.includes("--check")) {
    if (changed.length > 0) console.error(`out of date: ${changed.map(([path]) => path).join(", ")}`);
    process.exitCode = changed.length > 0 ? 1 : 0;
  } else {
    for (const [path, drawn] of changed) {
      mkdirSync(dirname(join(ROOT, path)), { recursive: true });
      writeFileSync(join(ROOT, path), drawn);
      console.error(`wrote ${path}`);
    }
  }
}
