/** `becalm run`: what a file of alerts would do under policies, in virtual time; with `--execute` it is really done. */

import { effectSubject } from "../effects/effect-message.ts";
import type { EffectRequest } from "../effects/effect-port.ts";
import { loadPolicySet } from "../formats/policy-file.ts";
import { BecalmError } from "../model/errors.ts";
import { actionsOf, type PolicySet } from "../policy/policy.ts";
import { reportFile } from "../simulate/instance-rows.ts";
import { readAssumptions } from "./assumptions.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { catchInterrupts, type Interrupts } from "./interrupts.ts";
import { Progress } from "./progress.ts";
import { readLines, readText } from "./read-text.ts";
import { ReportTotals, totalsText } from "./report-text.ts";
import { type Taken, takeLines } from "./take-lines.ts";
import type { Terminal } from "./terminal.ts";
import { withLog } from "./with-log.ts";
import { type RunEffects, type Running, type StoreOptions, withVirtualRun } from "./with-namespace.ts";

export type RunCommandOptions = StoreOptions & {
  readonly policies: string;
  readonly alerts: string;
  readonly concurrency: number;
  /** Performs the actions instead of assuming how they end. */
  readonly execute: boolean;
  /** Decides and audits everything, acts on nothing. */
  readonly observe: boolean;
  readonly assume?: readonly string[];
  readonly allowExec: boolean;
  readonly strict: boolean;
  readonly sort: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly log?: string;
};

export async function run(terminal: Terminal, options: RunCommandOptions): Promise<number> {
  const policies = loadPolicySet(await readText(options.policies), { file: options.policies });
  const effects = effectsOf(policies, options, terminal);
  const interrupts = catchInterrupts((signal) =>
    terminal.note(
      terminal.say(
        `${signal}: stopping after this line; once more stops at once`,
        `${signal}：处理完此行后停止；再来一次立即停止`,
      ),
    ),
  );
  try {
    const { store, namespace, concurrency, observe } = options;
    return await withLog(options.log, (logger) =>
      withVirtualRun({ store, namespace, policies, concurrency, observe, effects, logger }, (running) =>
        runFile(terminal, options, { running, interrupts }),
      ),
    );
  } finally {
    interrupts.end();
  }
}

type Parts = { readonly running: Running; readonly interrupts: Interrupts };

async function runFile(
  terminal: Terminal,
  options: RunCommandOptions,
  { running, interrupts }: Parts,
): Promise<number> {
  const progress = new Progress(terminal, { isQuiet: options.quiet });
  const isStopped = () => interrupts.exitCode() !== null;
  const label = options.alerts === "-" ? "stdin" : options.alerts;
  const tell = (what: string) => terminal.note(`${terminal.noteColors.yellow(label)}: ${what}`);
  const taken = await takeLines({
    lines: readLines(options.alerts, interrupts.signal),
    run: running.run,
    label,
    isSorted: options.sort,
    onRejected: tell,
    onLine: (now) => {
      running.checkLease();
      progress.update((seconds) => progressText(now, seconds, terminal));
    },
    isStopped,
  });
  if (!isStopped()) await running.run.finish({ isStopped });
  progress.end();
  const stoppedBy = interrupts.exitCode();
  if (stoppedBy !== null) {
    terminal.note(stoppedText(taken, options, terminal));
    return stoppedBy;
  }
  for (const warning of taken.warnings) tell(warning);
  await report(terminal, options, { running, taken });
  const isFruitless = taken.alerts === 0 && taken.rejected > 0;
  return isFruitless || (options.strict && taken.rejected > 0) ? EXIT.failed : EXIT.done;
}

async function report(
  terminal: Terminal,
  options: RunCommandOptions,
  { running, taken }: { running: Running; taken: Taken },
): Promise<void> {
  const totals = new ReportTotals();
  const summary = await reportFile(running.instances, taken, {
    onLine: async (line) => {
      if (options.json) await terminal.json(line);
      else totals.add(line);
    },
    onQuarantined: (error) =>
      terminal.note(
        terminal.noteColors.yellow(error instanceof BecalmError ? `${error.code}: ${error.message}` : String(error)),
      ),
  });
  const textOptions = {
    colors: terminal.outColors,
    reader: terminal.reader,
    store: options,
    isSimulated: !options.execute,
  };
  if (options.json) await terminal.json({ summary });
  else for (const line of totalsText(totals, summary, textOptions)) await terminal.out(line);
  if (options.quiet) return;
  const { created, duplicates, rejected } = taken;
  const { say } = terminal;
  const simulated = say(
    "; simulated, nothing was performed (--execute performs the actions)",
    "；模拟运行，未执行任何动作（--execute 会执行）",
  );
  const counts = say(
    `${created} created, ${duplicates} duplicates, ${rejected} rejected`,
    `新建 ${created}，重复 ${duplicates}，拒绝 ${rejected}`,
  );
  terminal.note(`${counts}${options.execute ? "" : simulated}`);
}

function progressText({ lines, alerts }: Taken, seconds: number, { say }: Terminal): string {
  const [line, alert, rate] = [lines, alerts, Math.round(alerts / seconds)].map((one) => one.toLocaleString("en"));
  return say(`${line} lines, ${alert} alerts, ${rate} alerts/s`, `${line} 行，${alert} 条告警，每秒 ${rate} 条`);
}

function stoppedText({ lines }: Taken, { store }: RunCommandOptions, { say }: Terminal): string {
  const where = say(`Stopped after line ${lines}. `, `已在第 ${lines} 行后停止。`);
  if (store === undefined)
    return `${where}${say("Nothing is kept without --store: run it again from the start.", "未给出 --store，未保存：请从头运行。")}`;
  return `${where}${say(
    "Everything up to there is durable: run the same command again to continue. Its output is the same as without the stop.",
    "之前的均已持久化：再次运行同一命令即可继续，输出与未停止时相同。",
  )}`;
}

/** What becomes of the actions; options that contradict each other are refused before anything is done. */
function effectsOf(policies: PolicySet, options: RunCommandOptions, terminal: Terminal): RunEffects {
  const { execute, assume = [], allowExec } = options;
  if (!execute) {
    if (allowExec) throw usedWrongly("--allow-exec goes with --execute: without it nothing is performed.");
    const names = policies.policies.map(({ name }) => name);
    const onRequest = (request: EffectRequest) => (options.quiet ? undefined : tellPause(request, terminal));
    return { kind: "simulated", assumptions: readAssumptions(assume, names), onRequest };
  }
  if (assume.length > 0) throw usedWrongly("--assume and --execute contradict each other: give one of them.");
  requireRunnable(policies, options, terminal);
  return { kind: "performed", allowExec };
}

/** What people would get once a pause, or a brake that began one, holds somebody. */
function tellPause(request: EffectRequest, terminal: Terminal): void {
  if (request.notice?.kind !== "approval-request" || request.notice.pause === undefined) return;
  const subject = effectSubject(request, null);
  if (!("approval" in subject)) return;
  const { noteColors, say, reader } = terminal;
  const text = subject.approval.text[reader.language];
  terminal.note(noteColors.yellow(say(`A person would be asked: ${text}`, `将请求人工决定：${text}`)));
}

/** What this process may not or cannot run is told before anything is done. */
function requireRunnable({ policies }: PolicySet, { allowExec }: RunCommandOptions, terminal: Terminal): void {
  const actions = policies.flatMap((policy) => actionsOf(policy).map((action) => ({ name: policy.name, action })));
  const exec = actions.find(({ action }) => action.kind === "exec");
  if (exec !== undefined && !allowExec) {
    throw new BecalmError(
      "BECALM_EFFECT_FORBIDDEN",
      `Policy "${exec.name}" wants to start a program. Allow it with --allow-exec, or change its action. Nothing was run.`,
      {
        details: { policy: exec.name },
      },
    );
  }
  for (const { name, action } of actions) {
    if (action.kind !== "handler") continue;
    terminal.note(
      terminal.noteColors.yellow(
        terminal.say(
          `Policy "${name}" calls the handler "${action.name}", which only a program can register: every attempt of it fails here.`,
          `策略 "${name}" 调用处理函数 "${action.name}"，它只能由程序注册：在此每次执行都会失败。`,
        ),
      ),
    );
  }
}
