/**
 * What `send`, `approve` and `deny` have in common: one commit, in the namespace's own time, and what becomes of the
 * action that follows.
 */
import type { Instance } from "../instance/checkpoint.ts";
import { topLevel } from "../instance/step.ts";
import { BecalmError } from "../model/errors.ts";
import { actionsOf } from "../policy/policy.ts";
import type { Sentence } from "../present/sentences.ts";
import { isoTime } from "../present/time-text.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { InstanceService } from "../runtime/instance-service.ts";
import type { NamespaceMode } from "../stores/store.ts";
import { EXIT } from "./exit-codes.ts";
import { stateColor } from "./report-text.ts";
import type { Terminal } from "./terminal.ts";
import type { NamedIds } from "./whole-ids.ts";
import { type Acting, type ActingOptions, withActing } from "./with-namespace.ts";

export type ActOptions = ActingOptions & {
  readonly by?: string;
  readonly why?: string;
  readonly run: boolean;
  readonly allowExec: boolean;
  readonly json: boolean;
};

/** The functions are given the options with whole ids. */
export type Act<Options> = {
  readonly command: string;
  /** What was done to the instances that changed; past tense, for people. */
  readonly done: (changed: readonly Instance[], instances: InstanceReader) => Sentence;
  /** Whose action may follow. */
  readonly policyOf: (instances: InstanceReader, named: Options) => Promise<string>;
  /** Commits, and gives the instances that changed. */
  readonly commit: (instances: InstanceService, named: Options) => Promise<Instance[]>;
};

export async function act<Options extends ActOptions & NamedIds>(
  terminal: Terminal,
  options: Options,
  how: Act<Options>,
): Promise<number> {
  return withActing(options, how.command, async (acting, named) => {
    const { instances, mode, nowMs } = acting;
    if (options.run && mode !== "simulated")
      requireRunnable(instances, await how.policyOf(instances, named), options.allowExec);
    const committed = await how.commit(instances, named);
    const attempts = options.run ? await acting.runOutstanding() : 0;
    const changed = await Promise.all(committed.map(({ id }) => instances.instance(id)));
    const ran = mode === "simulated" ? "simulated" : "ran";
    const action = attempts > 0 ? ran : acting.emittedCount() > 0 ? "pending" : "none";
    if (options.json) {
      for (const instance of changed)
        await terminal.json({ ...resultLine(instance), mode, at: isoTime(instance.atMs), action });
      return EXIT.done;
    }
    const done = how.done(changed, instances);
    await terminal.out(doneText(terminal, { done, count: changed.length, virtualMs: mode === "live" ? null : nowMs }));
    for (const instance of changed)
      await terminal.out(
        `  ${instance.id}  ${stateColor(topLevel(instance.snapshot.state), terminal.outColors)}  ${instance.reason ?? ""}`,
      );
    if (action !== "none") await terminal.out(actionText(terminal, acting, { attempts, command: how.command }));
    return EXIT.done;
  });
}

function doneText(
  { say, reader: { times } }: Terminal,
  { done, count, virtualMs }: { done: Sentence; count: number; virtualMs: number | null },
): string {
  const many = count === 1 ? "" : say(` for ${count} instances`, `，共 ${count} 个实例`);
  const at = virtualMs === null ? "" : times.iso(virtualMs);
  const when = at === "" ? "" : say(`, at ${at} of the namespace's virtual time`, `，命名空间的虚拟时间 ${at}`);
  return `${say(done.en, done.zh)}${many}${when}${say(".", "。")}`;
}

function resultLine(instance: Instance): object {
  return {
    id: instance.id,
    policy: instance.policy,
    state: topLevel(instance.snapshot.state),
    verdict: instance.verdict,
    reason: instance.reason,
    attempts: instance.snapshot.context.attempt,
  };
}

function actionText(
  { say }: Terminal,
  { mode, isServed }: Acting,
  { attempts, command }: { attempts: number; command: string },
): string {
  if (attempts > 0 && mode === "simulated")
    return say(
      "The namespace is simulated: what followed was not performed, but taken to have succeeded.",
      "命名空间为模拟：后续动作未执行，视为成功。",
    );
  if (attempts > 0)
    return say(
      `${attempts === 1 ? "The action that followed ran" : `${attempts} actions that followed ran`} here and now.`,
      `后续 ${attempts} 个动作已在此执行。`,
    );
  if (isServed) return say("The server runs the action that follows.", "后续动作由服务端执行。");
  const { en, zh } = NEXT[mode];
  return say(
    `The action that follows is committed and runs in ${en} on this namespace. (\`becalm ${command} ... --run\` runs it at once.)`,
    `后续动作已提交，将由此命名空间的${zh}执行。（\`becalm ${command} ... --run\` 立即执行。）`,
  );
}

/** Who takes up what is committed in a namespace. */
const NEXT: Readonly<Record<NamespaceMode, Sentence>> = {
  live: { en: "the next engine that is up", zh: "下一个运行的引擎" },
  virtual: { en: "the next `becalm run --execute`", zh: "下一次 `becalm run --execute` " },
  simulated: { en: "the next `becalm run`", zh: "下一次 `becalm run` " },
};

/** An attempt that this process could only fail is better left to whoever can run it. */
function requireRunnable(instances: InstanceReader, policyName: string, allowExec: boolean): void {
  const versions = [...instances.runtime.versions.values()].filter(({ policy }) => policy.name === policyName);
  for (const { kind } of versions.flatMap(({ policy }) => actionsOf(policy))) {
    if (kind === "handler")
      throw forbidden(
        policyName,
        "calls a handler of a program, which this command does not have. Leave --run out: the program runs it.",
      );
    if (kind === "exec" && !allowExec)
      throw forbidden(policyName, "starts a program. Add --allow-exec, or leave --run out.");
  }
}

function forbidden(policy: string, what: string): BecalmError {
  return new BecalmError("BECALM_EFFECT_FORBIDDEN", `Policy "${policy}" ${what} Nothing was done.`, {
    details: { policy },
  });
}
