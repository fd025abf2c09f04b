/** The demo's part about an alert storm: 183 requests of a real Prometheus become a few actions, three of which are explained in full. */

import { loadPolicySet } from "../formats/policy-file.ts";
import { verifyChain } from "../instance/audit.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { type InstanceLine, reportFile } from "../simulate/instance-rows.ts";
import { replay } from "../simulate/replay.ts";
import { checkedSteps, explainText } from "./explain-text.ts";
import { packageFile } from "./package-files.ts";
import { readLines, readText } from "./read-text.ts";
import { ReportTotals, totalsText } from "./report-text.ts";
import { storeArguments } from "./store-arguments.ts";
import { takeLines } from "./take-lines.ts";
import type { Terminal } from "./terminal.ts";
import { SIMULATED, type StoreOptions, withVirtualRun } from "./with-namespace.ts";

export type StormDemoOptions = StoreOptions;

const POLICIES = "demo/policies.yaml";
const STORM = "demo/storm.jsonl";
const CONCURRENCY = 16;

/** The three instances that are explained: the first of each kind in the file. */
const EXPLAINED: readonly { readonly title: string; readonly isIt: (line: InstanceLine) => boolean }[] = [
  { title: "An instance that ran", isIt: ({ state, attempts }) => state === "Success" && attempts > 0 },
  {
    title: "An instance that was skipped, because others had done enough",
    isIt: ({ reason }) => reason === "limit_reached",
  },
  { title: "An instance that waits for a human", isIt: ({ state }) => state === "Waiting" },
];

export async function stormDemo(terminal: Terminal, options: StormDemoOptions): Promise<void> {
  const policies = loadPolicySet(await readText(packageFile(POLICIES)), { file: POLICIES });
  await withVirtualRun(
    { ...options, policies, concurrency: CONCURRENCY, effects: SIMULATED },
    async ({ instances, run, checkLease }) => {
      const taken = await takeLines({
        lines: readLines(packageFile(STORM)),
        run,
        label: STORM,
        onRejected: (what) => terminal.note(what),
        onLine: checkLease,
        isStopped: () => false,
      });
      await run.finish();
      const totals = new ReportTotals();
      const found = new Map<string, string>();
      const summary = await reportFile(instances, taken, {
        onLine: async (line) => {
          totals.add(line);
          const kind = EXPLAINED.find(({ title, isIt }) => !found.has(title) && isIt(line));
          if (kind !== undefined) found.set(kind.title, line.id);
        },
        onQuarantined: (error) => terminal.note(String(error)),
      });
      const { bold, dim, cyan } = terminal.outColors;
      const lines = [
        "",
        `${bold("An alert storm")} of a real Prometheus: ${taken.lines} requests through the ${policies.policies.length} policies of ${cyan(POLICIES)}`,
        "",
        ...totalsText(totals, summary, { colors: terminal.outColors, store: null, isSimulated: true }),
      ];
      for (const [index, { title }] of EXPLAINED.entries()) {
        const id = found.get(title);
        if (id !== undefined)
          lines.push("", "", bold(`${index + 1}. ${title}`), ...(await explained(instances, { id, terminal })));
      }
      lines.push("", ...nextSteps(options).map((line) => dim(line)));
      for (const line of lines) await terminal.out(line);
    },
  );
}

async function explained(
  instances: InstanceReader,
  { id, terminal }: { id: string; terminal: Terminal },
): Promise<string[]> {
  const colors = terminal.outColors;
  const [instance, history, trail] = await Promise.all([
    instances.instance(id),
    instances.history(id),
    instances.lines(id),
  ]);
  const { steps, divergence } = replay(history);
  const isWhole = verifyChain(trail, instance.head) === null;
  const verdict = (isGood: boolean, good: string, bad: string) =>
    isGood ? colors.green(`✓ ${good}`) : colors.red(`✗ ${bad}`);
  return [
    colors.dim(`   ${id}`),
    ...explainText(instance, history, { colors, language: "en" }),
    "",
    colors.dim("  stepped through the machine again, with the hash of the checkpoint after each step:"),
    ...checkedSteps(steps, colors),
    `  ${verdict(divergence === null, "the replay leads to the same checkpoints", "the replay leads elsewhere")}, ${verdict(isWhole, "the chain of hashes holds", "the chain of hashes is broken")}`,
  ];
}

function nextSteps(options: StormDemoOptions): string[] {
  if (options.store === undefined) {
    return [
      "Nothing was kept: this ran in memory. Go on with your own files, and a Redis to keep them in:",
      "  becalm run --policies FILE --alerts FILE.jsonl --store redis://127.0.0.1:6379",
    ];
  }
  const where = storeArguments(options);
  return [
    "All of it is in the store. Look around, and answer those that wait:",
    `  becalm ls --state Waiting ${where}`,
    `  becalm show ID ${where}`,
    `  becalm approve ID --by WHO --why TEXT ${where}`,
  ];
}
