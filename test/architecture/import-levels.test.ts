import { describe, expect, test } from "vitest";
import { importsOf, type SourceFile, sourceFiles } from "./source-files.ts";

/**
 * What each level may import besides itself. Imports point one way:
 * core <- formats, ports <- runtime, adapters <- inspect <- replay <- engine <- index <- server, cli.
 * The statecharts stand beside the core: they see it through authoring.ts only, and the core steps instances through them.
 */
const BELOW: Record<string, readonly string[]> = {
  machines: ["authoring"],
  authoring: ["core"],
  core: ["machines"],
  formats: ["core"],
  ports: ["core"],
  runtime: ["core", "formats", "ports"],
  adapters: ["core", "formats", "ports"],
  drawing: ["core", "machines"],
  replay: ["core", "formats", "ports", "runtime", "adapters", "machines", "inspect"],
  inspect: ["core", "ports", "runtime", "drawing", "machines"],
  engine: ["core", "formats", "ports", "runtime", "adapters", "replay", "inspect", "machines"],
  detector: ["core", "formats", "ports", "runtime", "adapters", "engine"],
  index: ["detector", "core", "formats", "ports", "runtime", "adapters", "replay", "inspect", "engine", "machines"],
  server: [
    "core",
    "formats",
    "ports",
    "runtime",
    "adapters",
    "replay",
    "inspect",
    "engine",
    "detector",
    "index",
    "drawing",
    "machines",
  ],
  cli: [
    "core",
    "formats",
    "ports",
    "runtime",
    "adapters",
    "replay",
    "inspect",
    "engine",
    "detector",
    "index",
    "server",
    "drawing",
    "machines",
  ],
};

/** Packages of the levels that reach nothing outside; the others are free but for the drivers in DRIVERS. */
const PACKAGES: Record<string, readonly string[]> = {
  machines: ["xstate"],
  authoring: [],
  core: ["node:crypto", "xstate", "yaml"],
  formats: ["node:crypto", "yaml"],
  ports: [],
};

/** Packages that talk to one outside thing: an adapter's business, or the command's. */
const DRIVERS = ["bullmq", "commander", "ioredis", "lmdb", "picocolors", "redlock"];

const files = sourceFiles("src", "machines");

function levelOf(path: string): string {
  const [folder, name] = path.split("/") as [string, string];
  return folder === "machines" ? folder : name.replace(/\.ts$/, "");
}

function isOwn(imported: string): boolean {
  return imported.startsWith("src/") || imported.startsWith("machines/");
}

function violations(isForbidden: (file: SourceFile, imported: string) => boolean): string[] {
  return files.flatMap((file) =>
    importsOf(file)
      .filter((imported) => isForbidden(file, imported))
      .map((imported) => `${file.path} imports ${imported}`),
  );
}

/** The first cycle that a walk from each file finds, as `a -> b -> a`. */
function cycles(): string[] {
  const graph = new Map(files.map((file) => [file.path, importsOf(file).filter(isOwn)]));
  const done = new Set<string>();
  const found: string[] = [];
  const walk = (path: string, trail: readonly string[]): void => {
    const start = trail.indexOf(path);
    if (start !== -1) found.push([...trail.slice(start), path].join(" -> "));
    if (start !== -1 || done.has(path)) return;
    for (const next of graph.get(path) ?? []) walk(next, [...trail, path]);
    done.add(path);
  };
  for (const path of graph.keys()) walk(path, []);
  return found;
}

describe("imports", () => {
  test("each source file has a level", () => {
    expect(files.length).toBeGreaterThan(0);
    expect(files.map((file) => file.path).filter((path) => BELOW[levelOf(path)] === undefined)).toEqual([]);
  });

  test("point one way: to the own level or one below it", () => {
    const isForbidden = (file: SourceFile, imported: string) => {
      const level = levelOf(file.path);
      return isOwn(imported) && levelOf(imported) !== level && BELOW[level]?.includes(levelOf(imported)) !== true;
    };
    expect(violations(isForbidden)).toEqual([]);
  });

  test("stay inside src/ and machines/", () => {
    expect(violations((_file, imported) => /^(test|scripts|dist|\.\.)\b/.test(imported))).toEqual([]);
  });

  test("form no cycle between files", () => {
    expect(cycles()).toEqual([]);
  });

  test("of the pure levels name only the packages that reach nothing outside, and of node only its hashing", () => {
    const isForbidden = (file: SourceFile, imported: string) => {
      const allowed = PACKAGES[levelOf(file.path)];
      return !isOwn(imported) && allowed !== undefined && !allowed.includes(imported);
    };
    expect(violations(isForbidden)).toEqual([]);
  });

  test("of drivers and of the command's packages do not occur in the runtime", () => {
    expect(violations((file, imported) => levelOf(file.path) === "runtime" && DRIVERS.includes(imported))).toEqual([]);
  });

  test("of own files carry the ending .ts", () => {
    expect(violations((_file, imported) => isOwn(imported) && !imported.endsWith(".ts"))).toEqual([]);
  });
});
