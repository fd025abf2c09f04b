import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A fenced `ts` block of a document. */
export type CodeBlock = {
  /** Usable as a file name. */
  readonly name: string;
  /** `README.md:12` */
  readonly place: string;
  /** What follows `ts` on the fence. */
  readonly info: string;
  readonly code: string;
};

/** README.md and every page below docs/, from the project's root. */
export function documents(): string[] {
  const pages = existsSync(join(ROOT, "docs"))
    ? readdirSync(join(ROOT, "docs"), { recursive: true, encoding: "utf8" })
    : [];
  const paths = ["README.md", ...pages.map((page) => join("docs", page)).sort()];
  return paths.filter((path) => path.endsWith(".md") && existsSync(join(ROOT, path)));
}

export function codeBlocks(path: string): CodeBlock[] {
  if (!existsSync(join(ROOT, path))) return [];
  const text = readFileSync(join(ROOT, path), "utf8");
  return [...text.matchAll(/^```ts\b(.*)\n([\s\S]*?)^```$/gm)].map((match) => {
    const place = `${path}:${text.slice(0, match.index).split("\n").length}`;
    return { place, name: place.replace(/[^A-Za-z0-9]+/g, "-"), info: match[1] as string, code: match[2] as string };
  });
}
