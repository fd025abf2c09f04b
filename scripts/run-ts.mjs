// Runs one TypeScript file from the sources, no build needed: node scripts/run-ts.mjs [node options] file.ts
// [arguments] For example: node scripts/run-ts.mjs --cpu-prof test/inspect/storm.bench.ts
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";

const args = process.argv.slice(2);
const fileIndex = args.findIndex((arg) => arg.endsWith(".ts"));
if (fileIndex === -1) {
  console.error("usage: node scripts/run-ts.mjs [node options] file.ts [arguments]");
  process.exit(2);
}

const loader = new URL("./ts-loader.mjs", import.meta.url).href;
const nodeArgs = ["--enable-source-maps", "--import", loader, ...args.slice(0, fileIndex)];
const child = spawn(process.execPath, [...nodeArgs, ...args.slice(fileIndex)], { stdio: "inherit" });
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code, signal) => {
  if (signal === null) process.exit(code ?? 1);
  console.error(`${fileURLToPath(import.meta.url)}: ended by ${signal}`);
  process.exit(1);
});
