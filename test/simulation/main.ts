/** `npm run simulate -- --seed 7 --count 1000 [--scenario racing] [--verbose]`: schedules that a seed repeats, in a process of their own. */
import { failureText, type SimulationReport } from "./report.ts";
import { buildProgram, runProgram } from "./simulation-build.ts";

const program = await buildProgram("test/simulation/simulation-program.ts");
const { failures, ms, ...sums } = await runProgram<SimulationReport>(program, process.argv.slice(2));
const what = Object.entries(sums).map(([name, count]) => `${count} ${name}`);
process.stdout.write(`${what.join(", ")} in ${(ms / 1_000).toFixed(1)} s, ${failures.length} failed\n`);
for (const failure of failures) process.stdout.write(`${failureText(failure)}\n`);
process.exit(failures.length === 0 ? 0 : 1);
