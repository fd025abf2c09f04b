// The second half of `npm run bench`: runs the benchmarks that tsc has compiled. What is measured is plain Node with
// the code as it is shipped; the loader that runs sources elsewhere would add 50 MB to every process.
import { cp, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

/** tsconfig.bench.json says so. */
const COMPILED = "node_modules/.cache/becalm/bench";
process.chdir(fileURLToPath(new URL("..", import.meta.url)));

await cp("src", join(COMPILED, "src"), { recursive: true, filter: (path) => !path.endsWith(".ts") });
await writeFile(join(COMPILED, "package.json"), '{ "type": "module", "version": "0.0.0" }\n');
process.setSourceMapsEnabled(true);
await import(pathToFileURL(join(COMPILED, "test/bench/main.js")).href);
