import { readdirSync, readFileSync } from "node:fs";
import { posix } from "node:path";

const ROOT = new URL("../..", import.meta.url);

/** A source file: its path from the project's root, its text, and its text without comments. */
export type SourceFile = { readonly path: string; readonly text: string; readonly code: string };

/** The TypeScript files below the folders, in order of their paths. A missing folder has none. */
export function sourceFiles(...folders: readonly string[]): SourceFile[] {
  return folders.flatMap(typeScriptPaths).sort().map(readSource);
}

export function readText(path: string): string {
  return readFileSync(new URL(path, ROOT), "utf8");
}

/** What a file imports: paths from the project's root for its own files, names for packages. Types count, they bind as well. */
export function importsOf(file: SourceFile): string[] {
  const pattern = /(?<!["'.])\b(?:from|import)\s*\(?\s*"([^"\n]+)"/g;
  return [...file.code.matchAll(pattern)].map((match) => {
    const specifier = match[1] as string;
    return specifier.startsWith(".") ? posix.join(posix.dirname(file.path), specifier) : specifier;
  });
}

export function lineOf(text: string, offset: number): number {
  return text.slice(0, offset).split("\n").length;
}

function typeScriptPaths(folder: string): string[] {
  let entries: string[];
  try {
    entries = readdirSync(new URL(folder, ROOT), { recursive: true, encoding: "utf8" });
  } catch {
    return [];
  }
  return entries
    .filter((entry) => entry.endsWith(".ts"))
    .map((entry) => posix.join(folder, entry.replaceAll("\\", "/")));
}

function readSource(path: string): SourceFile {
  const text = readText(path);
  return { path, text, code: withoutComments(text) };
}

/** Comments become blanks, so that offsets and line numbers stay. A `//` after a colon is taken for an address. */
function withoutComments(text: string): string {
  const blank = (comment: string) => comment.replace(/[^\n]/g, " ");
  return text.replace(/\/\*[\s\S]*?\*\//g, blank).replace(/(?<![:"'`\\])\/\/.*$/gm, blank);
}
