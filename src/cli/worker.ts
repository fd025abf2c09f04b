/** `becalm worker`: attempts of a namespace, from its outbox, until a signal comes. */
import { EFFECT_KINDS, type EffectKind } from "../effects/effect-kind.ts";
import { fileLogger } from "../system/pino-logger.ts";
import { canRunBy, createWorker, type Rate, type Worker, type WorkerOptions } from "../worker.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { catchInterrupts } from "./interrupts.ts";
import { type LinkOptions, linksOf, SECRET_VARIABLE } from "./serve-links.ts";
import { startTracing } from "./serve-tracing.ts";
import type { Terminal } from "./terminal.ts";
import { isOfOneWriter, requireStore, type StoreOptions, storeAt } from "./with-namespace.ts";

export type WorkerCommandOptions = StoreOptions &
  LinkOptions & {
    readonly policy?: readonly string[];
    readonly kind?: readonly string[];
    readonly concurrency: number;
    readonly rate?: Readonly<Record<string, Rate>>;
    readonly allowExec: boolean;
    readonly allowAddress?: readonly string[];
    readonly queue?: "bullmq";
    readonly queueUrl?: string;
    readonly queueFeedOnly: boolean;
    readonly drain: number;
    readonly log: string;
  };

export async function worker(terminal: Terminal, options: WorkerCommandOptions): Promise<number> {
  const url = requireStore(options, "worker");
  if (isOfOneWriter(url))
    throw usedWrongly(
      "An lmdb store, or one in memory, has one process that writes, which runs its attempts itself. Workers are for a store on Redis.",
    );
  const kinds = kindsOf(options);
  const urls = linksOf(options, process.env[SECRET_VARIABLE]);
  const logger = fileLogger(options.log);
  const endTracing = await startTracing(process.env, (text) => terminal.note(text));
  const store = await storeAt(url, options.namespace);
  try {
    const own = createWorker({
      store,
      logger,
      allowExec: options.allowExec,
      allowAddresses: options.allowAddress ?? [],
      concurrency: options.concurrency,
      drainMs: options.drain,
      rates: options.rate ?? {},
      ...queueOf(options, url),
      ...(urls === null ? {} : { urls }),
      ...(options.policy === undefined ? {} : { policies: options.policy }),
      ...(kinds === undefined ? {} : { kinds }),
    });
    return await runUntilSignal(own, terminal, () => terminal.note(greeting(options, terminal)));
  } finally {
    await store.close();
    await endTracing();
    await logger.close();
  }
}

async function runUntilSignal(own: Worker, terminal: Terminal, started: () => void): Promise<number> {
  const stopped = new Promise<void>((resolve) => {
    catchInterrupts(() => resolve());
  });
  const endPausing = pauseBySignal(own, terminal);
  try {
    await own.start();
    started();
    await stopped;
  } finally {
    endPausing();
    await own.stop();
  }
  return EXIT.done;
}

/** As other workers have it: SIGTSTP begins nothing more, SIGCONT goes on. */
function pauseBySignal(own: Worker, terminal: Terminal): () => void {
  const { say } = terminal;
  const pause = () => {
    own.pause();
    terminal.note(
      say("becalm: paused: begins no more attempts until SIGCONT", "becalm：已暂停：收到 SIGCONT 之前不再开始执行"),
    );
  };
  const resume = () => {
    if (own.status.state !== "paused") return;
    own.resume();
    terminal.note(say("becalm: goes on", "becalm：继续执行"));
  };
  process.on("SIGTSTP", pause);
  process.on("SIGCONT", resume);
  return () => {
    process.off("SIGTSTP", pause);
    process.off("SIGCONT", resume);
  };
}

function queueOf(options: WorkerCommandOptions, store: string): Pick<WorkerOptions, "queue"> {
  const { queue, queueUrl, queueFeedOnly, namespace } = options;
  if (queue === undefined) {
    if (queueUrl === undefined && !queueFeedOnly) return {};
    throw usedWrongly("--queue-url and --queue-feed-only are about a queue: give --queue bullmq too.");
  }
  return { queue: { bullmq: { url: queueUrl ?? store, name: `becalm-${namespace}`, runs: !queueFeedOnly } } };
}

function kindsOf({ kind }: WorkerCommandOptions): readonly EffectKind[] | undefined {
  const isKind = (one: string): one is EffectKind => (EFFECT_KINDS as readonly string[]).includes(one);
  const wrong = kind?.find((one) => !isKind(one));
  if (wrong !== undefined) throw usedWrongly(`--kind ${wrong} is unknown. Give some of ${EFFECT_KINDS.join(", ")}.`);
  return kind?.filter(isKind);
}

function greeting({ namespace, policy, kind, allowExec }: WorkerCommandOptions, { say }: Terminal): string {
  const policies = policy?.join(", ") ?? say("all policies", "所有策略");
  const kinds = kind ?? EFFECT_KINDS.filter((one) => one !== "handler" && (one !== "exec" || allowExec));
  const without = canRunBy({ allowExec })({ kind: "exec", command: [], timeoutMs: 1 })
    ? ""
    : say("; programs only with --allow-exec", "；程序需要 --allow-exec");
  return say(
    `becalm: working for namespace ${namespace}: ${policies}; ${kinds.join(", ")}${without}`,
    `becalm：为命名空间 ${namespace} 执行：${policies}；${kinds.join("、")}${without}`,
  );
}
