import { describe, expect, test } from "vitest";
import { importsOf, type SourceFile, sourceFiles } from "./source-files.ts";

/**
 * The rooms, and what each may import besides itself. Imports point one way:
 * model <- policy, convergence <- instance <- formats, ports <- runtime, stores, effects <- simulate <- compose <- engine <- cli.
 * The statecharts stand beside the model: they see it through authoring.ts only, and the instance steps through them.
 */
const PURE = ["authoring", "machines", "model", "policy", "convergence", "instance", "detection core"] as const;
const PORTS = [...PURE, "formats", "ports"] as const;
const DRIVERS_OF_PORTS = ["stores", "effects", "system"] as const;
const ENGINE = [...PORTS, ...DRIVERS_OF_PORTS, "runtime", "detection", "present", "drawing", "inspect", "simulate"];
const ABOVE = [...ENGINE, "compose", "what-if", "recorded-difference", "shadow", "engine", "detector", "index"];

const BELOW: Record<string, readonly string[]> = {
  authoring: ["model", "convergence"],
  machines: ["authoring"],
  model: [],
  policy: ["model"],
  convergence: ["model"],
  instance: ["model", "policy", "convergence", "machines"],
  "detection core": ["model"],
  formats: PURE,
  ports: PURE,
  present: PURE,
  runtime: PORTS,
  detection: PORTS,
  stores: PORTS,
  effects: [...PORTS, "system", "present"],
  system: [...PORTS, "present"],
  drawing: ["model", "machines", "present"],
  inspect: [...PURE, "ports", "runtime", "drawing"],
  simulate: [...PORTS, ...DRIVERS_OF_PORTS, "runtime", "inspect", "present"],
  compose: [...PORTS, ...DRIVERS_OF_PORTS, "runtime", "simulate"],
  "what-if": [...ENGINE, "compose"],
  "recorded-difference": [...ENGINE, "compose", "what-if"],
  shadow: [...ENGINE, "compose", "what-if", "recorded-difference"],
  engine: [...ENGINE, "compose", "what-if", "recorded-difference", "shadow"],
  detector: ENGINE,
  index: ABOVE,
  "virtual-program": ABOVE,
  testing: [...ABOVE, "virtual-program"],
  server: ABOVE,
  /** Runs in the browser: it knows the HTTP API and nothing of the program. */
  console: [],
  cli: [...ABOVE, "server"],
};

/** Files whose level is not their folder's: ports that lie beside their drivers, the pure part of detection, and a part of the engine. */
const LEVEL_OF_PATH: Readonly<Record<string, string>> = {
  "src/checked-calls.ts": "index",
  "src/engine-options.ts": "engine",
  "src/explained-snapshot.ts": "engine",
  "src/committed-steps.ts": "engine",
  "src/listeners.ts": "engine",
  "src/engine-effects.ts": "engine",
  "src/traced-store.ts": "engine",
  "src/instance-reference.ts": "engine",
  "src/worker.ts": "engine",
  "src/queued-attempts.ts": "engine",
  "src/removed-bundles.ts": "engine",
  "src/stores/store.ts": "ports",
  "src/stores/dimension-lock.ts": "ports",
  "src/stores/processes.ts": "ports",
  "src/stores/outbox.ts": "ports",
  "src/stores/store-description.ts": "ports",
  "src/stores/timer-rows.ts": "ports",
  "src/effects/effect-port.ts": "ports",
  "src/system/clock.ts": "ports",
  "src/system/logger.ts": "ports",
  "src/detection/detection-store.ts": "ports",
  "src/detection/core/": "detection core",
  "src/detection/records/": "detection core",
};

/** Packages of the levels that reach nothing outside; the others are free but for the drivers in DRIVERS. */
const PACKAGES: Record<string, readonly string[]> = {
  machines: ["xstate"],
  authoring: [],
  model: ["node:crypto"],
  policy: ["node:crypto", "re2js"],
  convergence: ["node:crypto"],
  instance: ["node:crypto", "xstate"],
  "detection core": ["node:crypto"],
  formats: ["node:crypto", "yaml"],
  ports: [],
};

/** Packages that talk to one outside thing: a driver's business, or the command's. */
const DRIVERS = ["bullmq", "commander", "ioredis", "lmdb", "picocolors", "redlock"];

const files = sourceFiles("src", "machines");

function levelOf(path: string): string {
  const named = Object.keys(LEVEL_OF_PATH).find((prefix) => path.startsWith(prefix));
  if (named !== undefined) return LEVEL_OF_PATH[named] as string;
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
