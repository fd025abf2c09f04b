/** What Node loads before a command begins: a driver among it would cost every command its time. */
import { posix } from "node:path";
import { expect, test } from "vitest";
import { type SourceFile, sourceFiles } from "./source-files.ts";

const files = new Map(sourceFiles("src", "machines").map((file) => [file.path, file]));

/** Imports that stay when types are stripped, without those that wait until they are reached. */
function loadedWith({ path, code }: SourceFile): string[] {
  const pattern = /^(?:import|export)(?! type\b)(?:[^;"]* from)? "([^"\n]+)"/gm;
  return [...code.matchAll(pattern)].map(([, specifier = ""]) =>
    specifier.startsWith(".") ? posix.join(posix.dirname(path), specifier) : specifier,
  );
}

/** Packages that are loaded with a file, however far away. */
function packagesBehind(entry: string): string[] {
  const reached = new Set([entry]);
  for (const path of reached) for (const next of loadedWith(files.get(path) ?? noFile(path))) reached.add(next);
  return [...reached].filter((one) => !files.has(one) && !one.startsWith("node:")).sort();
}

function noFile(path: string): SourceFile {
  return { path, text: "", code: "" };
}

test("a help text is shown without any library but those that read options and colour text", () => {
  expect(packagesBehind("src/cli/program.ts")).toEqual(["commander", "picocolors"]);
});

test("no store's driver, and no queue, is loaded before it is known which one is used", () => {
  const drivers = ["bullmq", "ioredis", "lmdb", "redlock"];
  for (const entry of ["src/cli/with-namespace.ts", "src/cli/run.ts", "src/worker.ts"]) {
    expect(files.has(entry)).toBe(true);
    expect(packagesBehind(entry).filter((one) => drivers.includes(one))).toEqual([]);
  }
});

test("a command that looks or simulates loads nothing that writes logs, traces or acts", () => {
  const acting = ["@opentelemetry/api", "pino"];
  for (const entry of ["src/cli/ls.ts", "src/cli/with-namespace.ts"])
    expect(packagesBehind(entry).filter((one) => acting.includes(one))).toEqual([]);
});
