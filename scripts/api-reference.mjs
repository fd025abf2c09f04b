// Writes docs/api.md: every public name with its type and its comment, read from the built declarations.
//   node scripts/api-reference.mjs            writes the page if it has changed (needs a build: npm run build)
//   node scripts/api-reference.mjs --check    writes nothing; exit code 1 if the page is out of date
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, posix } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const PAGE = "docs/api.md";
/** The entry points of package.json, and the declarations that each is built to. */
const ENTRIES = [
  ["becalm", "dist/src/index.d.ts"],
  ["becalm/machines", "dist/machines/index.d.ts"],
  ["becalm/testing", "dist/src/testing.d.ts"],
];
const KINDS = ["function", "class", "const", "interface", "type"];
const DECLARATION = new RegExp(`^export (?:declare )?(?:abstract )?(${KINDS.join("|")}) (\\w+)`);

const textOf = (path) => readFileSync(join(ROOT, path), "utf8");

/** Name -> file that declares it, for every name that a declaration file exports. */
function exportsOf(path) {
  const found = new Map();
  const text = textOf(path);
  for (const [, list, from] of text.matchAll(/^export (?:type )?\{([^}]*)\} from "([^"]+)";$/gm)) {
    const target = posix.join(posix.dirname(path), from.replace(/\.js$/, ".d.ts"));
    for (const entry of list.split(",").map((name) => name.trim().replace(/^type /, "")))
      if (entry !== "") found.set(entry.split(" as ").at(-1), { name: entry.split(" as ")[0], path: target });
  }
  for (const line of text.split("\n")) {
    const name = DECLARATION.exec(line)?.[2];
    if (name !== undefined) found.set(name, { name, path });
  }
  return found;
}

/** A name's declarations in a file (a function has one for each overload), with the comment above the first. */
function declarationOf({ name, path }) {
  const lines = textOf(path).split("\n");
  const starts = lines.flatMap((line, index) => (DECLARATION.exec(line)?.[2] === name ? [index] : []));
  if (starts.length === 0) {
    const passedOn = exportsOf(path).get(name);
    if (passedOn === undefined || passedOn.path === path) throw new Error(`${path} does not declare ${name}`);
    return declarationOf(passedOn);
  }
  const code = starts.map((start) => lines.slice(start, endOf(lines, start) + 1).join("\n"));
  return { kind: DECLARATION.exec(lines[starts[0]])[1], code, comment: commentAbove(lines, starts[0]) };
}

/** The last line of a declaration: brackets are balanced and it ends as one. */
function endOf(lines, start) {
  let depth = 0;
  for (let index = start; index < lines.length; index += 1) {
    const code = lines[index].replace(/\/\*.*?\*\/|\/\/.*$/g, "").replace(/"(?:[^"\\]|\\.)*"/g, '""');
    for (const character of code.replaceAll("=>", "")) {
      if ("{([<".includes(character)) depth += 1;
      else if ("})]>".includes(character)) depth -= 1;
    }
    const isLast = /[;}]\s*$/.test(code) && !lines[index].trimStart().startsWith("*");
    if (depth === 0 && isLast) return index;
  }
  return lines.length - 1;
}

function commentAbove(lines, start) {
  if (!lines[start - 1]?.trimEnd().endsWith("*/")) return "";
  let first = start - 1;
  while (!lines[first].trimStart().startsWith("/**")) first -= 1;
  const text = lines
    .slice(first, start)
    .map((line) => line.replace(/^\s*(\/\*\*|\*\/|\*)?\s?/, "").replace(/\s*\*\/$/, ""));
  return text
    .filter((line) => line !== "")
    .join("\n")
    .replace(/^@/gm, "\n@")
    .trim();
}

function cleaned(code) {
  return code.replace(/^export (?:declare )?/, "").replace(/^( {4})+/gm, (indent) => "  ".repeat(indent.length / 4));
}

function section(name, { code, comment }) {
  const block = code.map(cleaned).join("\n");
  // Declarations are not programs: a fence of its own kind keeps them out of the examples that are run.
  return [`### ${name}`, comment, `\`\`\`typescript\n${block}\n\`\`\``].filter((part) => part !== "").join("\n\n");
}

export function page() {
  const parts = [
    "# API reference",
    "Made from the types by `scripts/api-reference.mjs`; a test keeps it equal to them. How the calls fit together: [library.md](library.md), and step by\nstep: [tutorial.md](tutorial.md).",
  ];
  for (const [entry, path] of ENTRIES) {
    if (!existsSync(join(ROOT, path))) continue;
    const declared = [...exportsOf(path)].map(([name, place]) => [name, declarationOf(place)]);
    const isCallable = ([, { kind }]) => kind !== "type" && kind !== "interface";
    const sorted = declared.sort(([a], [b]) => (a.toLowerCase() < b.toLowerCase() ? -1 : 1));
    parts.push(`## From \`${entry}\``);
    parts.push(...sorted.filter(isCallable).map(([name, declaration]) => section(name, declaration)));
    const types = sorted.filter((one) => !isCallable(one));
    if (types.length > 0) parts.push(`## Types of \`${entry}\``);
    parts.push(...types.map(([name, declaration]) => section(name, declaration)));
  }
  return `${parts.join("\n\n")}\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const wanted = page();
  const isCurrent = existsSync(join(ROOT, PAGE)) && textOf(PAGE) === wanted;
  if (process.argv.includes("--check")) {
    if (!isCurrent) console.error(`${PAGE} is out of date. Run: npm run build && node scripts/api-reference.mjs`);
    process.exitCode = isCurrent ? 0 : 1;
  } else if (!isCurrent) {
    writeFileSync(join(ROOT, PAGE), wanted);
    console.error(`wrote ${PAGE} in ${dirname(PAGE)}/`);
  }
}
