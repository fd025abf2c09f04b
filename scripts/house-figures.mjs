#!/usr/bin/env node
/** How large the house is, and how far it is from an alert to its commit; `--help` says what is counted, and how. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { Session } from "node:inspector/promises";
import { join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { parseArgs } from "node:util";
import { parseAst } from "rolldown/parseAst";

const HELP = `npm run build && node scripts/house-figures.mjs [DIR]

  DIR      another checkout that is built, to compare with; default: this one
  --list   names the functions that run for one alert
  --help

- functions run for one alert: precise coverage of one \`ingest\` (an engine that is open and not started, memory store,
  one policy with a rule, so no effect runs), counting the project's own named functions and the files they are in
- frames on the async stack at the commit, from \`runBatch\` out to \`ingest\`
- statements of src and machines, by room: counted by a parser, so that lines, comments and types count nothing
- median and longest file (lines) and function (lines from its first to its last)`;

const { isHelp, isListed, dir } = given();

function given() {
  try {
    const options = { help: { type: "boolean", default: false }, list: { type: "boolean", default: false } };
    const { values, positionals } = parseArgs({ allowPositionals: true, options });
    if (positionals.length > 1) throw new Error("Give one DIR at most.");
    const place = resolve(positionals[0] ?? fileURLToPath(new URL("..", import.meta.url)));
    if (!values.help && !existsSync(join(place, "dist/src/index.js")))
      throw new Error(`${place} is not a checkout that is built.`);
    return { isHelp: values.help, isListed: values.list || process.env.LIST !== undefined, dir: place };
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    process.exit(2);
  }
}

const RULE = { function: "skip_when_exceed", by: ["host"], count: 1, window: "5m" };
const ALERT = { labels: { alertname: "Down", host: "h" }, startsAt: "2026-11-23T06:49:54.757Z" };

const STATEMENTS = new Set(["VariableDeclaration", "FunctionDeclaration", "ClassDeclaration", "MethodDefinition"]);
const FUNCTIONS = new Set(["FunctionDeclaration", "FunctionExpression", "ArrowFunctionExpression"]);

const median = (numbers) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0;

function isStatement({ type, body, expression }) {
  if (type === "BlockStatement" || type === "EmptyStatement") return false;
  if (type === "ArrowFunctionExpression") return expression === true && body.type !== "BlockStatement";
  return type.endsWith("Statement") || STATEMENTS.has(type);
}

function* nodesOf(node) {
  if (node === null || typeof node !== "object") return;
  if (Array.isArray(node)) {
    for (const item of node) yield* nodesOf(item);
    return;
  }
  if (typeof node.type !== "string") return;
  yield node;
  for (const [name, child] of Object.entries(node)) if (name !== "parent") yield* nodesOf(child);
}

function sizesOf(path) {
  const text = readFileSync(path, "utf8");
  const lineAt = (offset) => text.slice(0, offset).split("\n").length;
  let statements = 0;
  const functions = [];
  for (const node of nodesOf(parseAst(text, { lang: "ts" }))) {
    if (isStatement(node)) statements += 1;
    if (FUNCTIONS.has(node.type)) functions.push(lineAt(node.end) - lineAt(node.start) + 1);
  }
  return { path, lines: text.split("\n").length - 1, statements, functions };
}

function sourceFiles(folder) {
  return readdirSync(join(dir, folder), { recursive: true })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(dir, folder, name));
}

function reportSizes() {
  const files = ["src", "machines"].flatMap(sourceFiles).map(sizesOf);
  const functions = files.flatMap((file) => file.functions);
  const rooms = new Map();
  for (const { path, statements } of files) {
    const [folder, room = ""] = relative(dir, path).split("/");
    const name = folder === "src" && !room.endsWith(".ts") ? room : folder;
    rooms.set(name, (rooms.get(name) ?? 0) + statements);
  }
  const lines = files.map((file) => file.lines);
  console.log(`statements: ${[...rooms.values()].reduce((a, b) => a + b, 0)} in ${files.length} files`);
  console.log(`  ${[...rooms].map(([name, count]) => `${name} ${count}`).join(", ")}`);
  console.log(`lines of a file: median ${median(lines)}, longest ${Math.max(...lines)}`);
  console.log(
    `lines of a function: median ${median(functions)}, longest ${Math.max(...functions)} (${functions.length})`,
  );
}

/** A store that keeps the stack of each commit. */
function tracing(store, stacks) {
  return new Proxy(store, {
    get: (target, name) => {
      const member = Reflect.get(target, name, target);
      if (typeof member !== "function") return member;
      return (...given) => {
        if (name === "commit") stacks.push(new Error("commit").stack);
        return member.apply(target, given);
      };
    },
  });
}

async function engineOf(store) {
  const { createEngine } = await import(pathToFileURL(join(dir, "dist/src/index.js")).href);
  const policies = [{ name: "act", match: [], action: { log: {} }, converge: RULE }];
  const engine = createEngine({ policies, store });
  await engine.list();
  return engine;
}

async function reportOneAlert() {
  const { memoryStore } = await import(pathToFileURL(join(dir, "dist/src/index.js")).href);
  const session = new Session();
  session.connect();
  const engine = await engineOf(memoryStore());
  await session.post("Profiler.enable");
  await session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
  await engine.ingest([ALERT]);
  const { result } = await session.post("Profiler.takePreciseCoverage");
  await session.post("Profiler.stopPreciseCoverage");
  const own = result.filter(({ url }) => url.startsWith(pathToFileURL(join(dir, "dist")).href));
  const ran = own.flatMap(({ url, functions }) =>
    functions
      .filter(({ functionName, ranges }) => /^[\w#$.]+$/.test(functionName) && ranges[0].count > 0)
      .map(({ functionName }) => ({ file: relative(join(dir, "dist"), fileURLToPath(url)), functionName })),
  );
  const files = Map.groupBy?.(ran, ({ file }) => file) ?? new Map(ran.map((one) => [one.file, [one]]));
  console.log(`functions run for one alert: ${ran.length} in ${files.size} files`);
  if (isListed) {
    for (const file of new Set(ran.map((one) => one.file))) {
      const names = ran.filter((one) => one.file === file).map(({ functionName }) => functionName);
      console.log(`  ${file}: ${names.join(" ")}`);
    }
  }
  await engine.stop();
}

async function reportStack() {
  const { memoryStore } = await import(pathToFileURL(join(dir, "dist/src/index.js")).href);
  const stacks = [];
  Error.stackTraceLimit = 50;
  const engine = await engineOf(tracing(memoryStore(), stacks));
  await engine.ingest([ALERT]);
  await engine.stop();
  const names = stacks[0]
    .split("\n")
    .flatMap((line) => /^\s+at (?:async )?([\w.#]+) \(.*dist\/src/.exec(line)?.[1] ?? []);
  const isWhole = names.some((name) => name.endsWith("ingest"));
  console.log(`frames at the commit: ${names.length}, ${isWhole ? "ingest among them" : "ingest is not among them"}`);
  console.log(`  ${names.join(" <- ")}`);
}

if (isHelp) console.log(HELP);
else {
  reportSizes();
  await reportOneAlert();
  await reportStack();
}
