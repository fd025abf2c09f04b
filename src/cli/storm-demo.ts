/**
 * The demo's part about an alert storm: 183 requests of a real Prometheus become a few actions, three of which are
 * explained in full.
 */

import { loadPolicySet } from "../formats/policy-file.ts";
import { verifyChain } from "../instance/audit.ts";
import type { Reader } from "../present/reader.ts";
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
const EXPLAINED: readonly {
  readonly title: string;
  readonly chinese: string;
  readonly isIt: (line: InstanceLine) => boolean;
}[] = [
  {
    title: "An instance that ran",
    chinese: "执行了的实例",
    isIt: ({ state, attempts }) => state === "Success" && attempts > 0,
  },
  {
    title: "An instance that was skipped, because others had done enough",
    chinese: "被跳过的实例：其他实例已足够",
    isIt: ({ reason }) => reason === "limit_reached",
  },
  { title: "An instance that waits for a human", chinese: "等待人工的实例", isIt: ({ state }) => state === "Waiting" },
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
      const { say } = terminal;
      const { bold, dim, cyan } = terminal.outColors;
      const lines = [
        "",
        say(
          `${bold("An alert storm")} of a real Prometheus: ${taken.lines} requests through the ${policies.policies.length} policies of ${cyan(POLICIES)}`,
          `${bold("一场告警风暴")}，来自真实的 Prometheus：${taken.lines} 个请求，经过 ${cyan(POLICIES)} 的 ${policies.policies.length} 条策略`,
        ),
        "",
        ...totalsText(totals, summary, {
          colors: terminal.outColors,
          reader: terminal.reader,
          store: null,
          isSimulated: true,
        }),
      ];
      for (const [index, { title, chinese }] of EXPLAINED.entries()) {
        const id = found.get(title);
        if (id !== undefined)
          lines.push(
            "",
            "",
            bold(`${index + 1}. ${say(title, chinese)}`),
            ...(await explained(instances, { id, terminal })),
          );
      }
      lines.push("", ...nextSteps(options, terminal.reader).map((line) => dim(line)));
      for (const line of lines) await terminal.out(line);
    },
  );
}

async function explained(
  instances: InstanceReader,
  { id, terminal }: { id: string; terminal: Terminal },
): Promise<string[]> {
  const { outColors: colors, reader, say } = terminal;
  const [instance, history, trail] = await Promise.all([
    instances.instance(id),
    instances.history(id),
    instances.lines(id),
  ]);
  const { steps, divergence } = replay(history);
  const isWhole = verifyChain(trail, instance.head) === null;
  const replayed = say("the replay leads to the same checkpoints", "重放得到相同的检查点");
  const elsewhere = say("the replay leads elsewhere", "重放结果不同");
  const holds = say("the chain of hashes holds", "哈希链完整");
  const isBroken = say("the chain of hashes is broken", "哈希链已损坏");
  const verdict = (isGood: boolean, good: string, bad: string) =>
    isGood ? colors.green(`✓ ${good}`) : colors.red(`✗ ${bad}`);
  return [
    colors.dim(`   ${id}`),
    ...explainText(instance, history, { colors, reader }),
    "",
    colors.dim(
      say(
        "  stepped through the machine again; behind each step its checkpoint's hash:",
        "  再次经状态机重放，每步之后是检查点的哈希：",
      ),
    ),
    ...checkedSteps(steps, { colors, reader }),
    `  ${verdict(divergence === null, replayed, elsewhere)}, ${verdict(isWhole, holds, isBroken)}`,
  ];
}

function nextSteps(options: StormDemoOptions, { say }: Reader): string[] {
  if (options.store === undefined) {
    return [
      say(
        "Nothing was kept: this ran in memory. Go on with your own files, kept in a folder:",
        "以上在内存中运行，未保存。接下来可用自己的文件，并保存在一个目录中：",
      ),
      "  becalm run --policies FILE --alerts FILE.jsonl --store lmdb:./becalm-data",
    ];
  }
  const where = storeArguments(options);
  return [
    say(
      "All of it is in the store. Look around, and answer those that wait:",
      "全部已保存。查看，并答复等待审批的实例：",
    ),
    `  becalm ls --state Waiting ${where}`,
    `  becalm show ID ${where}`,
    `  becalm approve ID --by WHO --why TEXT ${where}`,
  ];
}
