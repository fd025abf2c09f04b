/**
 * Writes the parts of src/stores/redis/scripts/commit.lua that say how a commit lies in KEYS and ARGV, from
 * src/stores/redis/commit-layout.ts. `npm run generate` writes them; with `--check` nothing is written, and the exit
 * code is 1 if they differ.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  COMMIT_KEYS,
  GROUP_VALUE,
  HEAD,
  ROW_ORDER,
  ROWS,
  SHAPE,
  SHARED_ARGUMENTS,
  SHARED_KEYS,
} from "../src/stores/redis/commit-layout.ts";

const SCRIPT = new URL("../src/stores/redis/scripts/commit.lua", import.meta.url);

type Names = Readonly<Record<string, string>>;

export function withLayout(lua: string): string {
  return replaced(replaced(lua, "keys and arguments", comment()), "names", names());
}

function replaced(lua: string, part: string, text: string): string {
  const [begin, end] = [`-- <${part}> of commit-layout.ts, by \`npm run generate\``, `-- </${part}>`];
  const from = lua.indexOf(begin);
  const to = lua.indexOf(end);
  if (from < 0 || to < from) throw new Error(`commit.lua has no part <${part}>`);
  return `${lua.slice(0, from)}${begin}\n${text}${lua.slice(to)}`;
}

function comment(): string {
  const lines = [
    ...numbered("KEYS", SHARED_KEYS),
    "then for each commit:",
    ...listed(COMMIT_KEYS, "  "),
    "",
    ...numbered("ARGV", SHARED_ARGUMENTS),
    "then for each commit:",
    "  its head, words with a space between them:",
    ...listed(HEAD, "    "),
    "  its shape, numbers with a space between them:",
    ...listed(SHAPE, "    "),
    `  ${GROUP_VALUE}`,
    "  rows, all of one kind before the next:",
    ...ROW_ORDER.flatMap(({ under, kind, ...rest }) => {
      const fields = Object.keys(ROWS[kind]).map(snake).join(", ");
      const each =
        "each" in rest
          ? `; behind each its ${rest.each} rows: ${Object.keys(ROWS[rest.each]).map(snake).join(", ")}`
          : "";
      return [`    ${snake(under)}: ${fields}${each}`];
    }),
    "  what a field of a row holds:",
    ...Object.entries(ROWS).flatMap(([kind, fields]) =>
      Object.entries(fields).flatMap(([name, what]) =>
        what === "" ? [] : [`    ${snake(kind)}.${snake(name)}: ${what}`],
      ),
    ),
  ];
  return lines.map((line) => (line === "" ? "--\n" : `-- ${line}\n`)).join("");
}

function names(): string {
  const rows = Object.entries(ROWS).map(
    ([kind, fields]) => `  ${snake(kind)} = { width = ${Object.keys(fields).length}, ${offsets(fields, 0)} },\n`,
  );
  return [
    `local SHARED_KEY = { ${offsets(SHARED_KEYS, 1)} }\n`,
    `local SHARED_ARGUMENT = { ${offsets(SHARED_ARGUMENTS, 1)} }\n`,
    `local FIRST_KEY, FIRST_ARGUMENT = ${count(SHARED_KEYS) + 1}, ${count(SHARED_ARGUMENTS) + 1}\n`,
    "-- Where a field lies in its row.\n",
    `local ROW = {\n${rows.join("")}}\n`,
    "-- The head, the shape and the group's value.\n",
    "local HEAD_WIDTH = 3\n",
    ...words("head", HEAD),
    ...words("shape", SHAPE),
    "-- How many arguments all rows of a shape are.\n",
    `local function rows_width(shape)\n  return ${wrapped(rowWidths(), "    ", " + ")}\nend\n`,
  ].join("");
}

/** A function that reads the words of a text under their names. */
function words(what: string, fields: Names): string[] {
  const names_ = Object.keys(fields).map(snake);
  const pattern = `'^' .. string.rep('(%S+) ', ${names_.length - 1}) .. '(%S+)$'`;
  return [
    `local ${what.toUpperCase()} = ${pattern}\n`,
    `local function ${what}_of(text)\n`,
    `  local ${wrapped(names_, "    ", ", ")} = string.match(text, ${what.toUpperCase()})\n`,
    `  return {\n${names_.map((name) => `    ${name} = ${name},\n`).join("")}  }\nend\n`,
  ];
}

function rowWidths(): string[] {
  return ROW_ORDER.flatMap(({ under, kind, ...rest }) => {
    const widths = [`shape.${snake(under)} * ${count(ROWS[kind])}`];
    if ("each" in rest) widths.push(`shape.news * ${count(ROWS[rest.each])}`);
    return widths;
  });
}

function wrapped(parts: readonly string[], indent: string, between: string): string {
  const lines = [""];
  for (const [at, part] of parts.entries()) {
    const text = at === parts.length - 1 ? part : `${part}${between}`;
    if ((lines.at(-1) as string).length + text.length > 100) lines.push(indent);
    lines[lines.length - 1] += text;
  }
  return lines.map((line) => line.trimEnd()).join("\n");
}

function offsets(fields: Names, first: number): string {
  return Object.keys(fields)
    .map((name, at) => `${snake(name)} = ${at + first}`)
    .join(", ");
}

function numbered(array: string, fields: Names): string[] {
  return Object.entries(fields).map(([name, what], at) => `${array}[${at + 1}] ${snake(name)}: ${what}`);
}

function listed(fields: Names, indent: string): string[] {
  return Object.entries(fields).map(([name, what]) => `${indent}${snake(name)}: ${what}`);
}

function count(fields: Names): number {
  return Object.keys(fields).length;
}

function snake(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const before = readFileSync(SCRIPT, "utf8");
  const after = withLayout(before);
  if (process.argv.includes("--check")) process.exitCode = before === after ? 0 : 1;
  else writeFileSync(SCRIPT, after);
}
