/**
 * A process that does the measuring. As a program it answers jobs from its parent, one at a time. Each arm has one of its own for the
 * whole run: heaps do not mix, and each keeps what its compiler learned in the warm-up.
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Jobs } from "./jobs.ts";

type Answer = { readonly ok: true; readonly result: unknown } | { readonly ok: false; readonly error: string };

export class BenchProcess {
  private readonly child: ChildProcess;

  constructor() {
    const execArgv = ["--enable-source-maps"];
    this.child = fork(fileURLToPath(import.meta.url), { execArgv, env: { ...process.env, BECALM_BENCH_PROCESS: "1" } });
  }

  async run<Name extends keyof Jobs>(
    name: Name,
    given: Parameters<Jobs[Name]>[0],
  ): Promise<Awaited<ReturnType<Jobs[Name]>>> {
    const settled = new AbortController();
    const { signal } = settled;
    const ended = once(this.child, "exit", { signal }).then(() => [
      { ok: false, error: `the process of ${name} ended` },
    ]);
    const answered = once(this.child, "message", { signal });
    this.child.send({ name, given });
    try {
      const [answer] = (await Promise.race([answered, ended])) as [Answer];
      if (!answer.ok) throw new Error(answer.error);
      return answer.result as Awaited<ReturnType<Jobs[Name]>>;
    } finally {
      // Whichever event did not come is not waited for any longer.
      settled.abort();
      await Promise.allSettled([answered, ended]);
    }
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null) return;
    const exited = once(this.child, "exit");
    this.child.disconnect();
    await exited;
  }
}

async function serve(): Promise<void> {
  const { JOBS } = await import("./jobs.ts");
  const run = JOBS as unknown as Record<string, (given: unknown) => Promise<unknown>>;
  process.on("message", (message) => {
    const { name, given } = message as { name: string; given: unknown };
    void (run[name] as (given: unknown) => Promise<unknown>)(given).then(
      (result) => process.send?.({ ok: true, result }),
      (error: unknown) =>
        process.send?.({ ok: false, error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    );
  });
  process.on("disconnect", () => process.exit(0));
}

if (process.env["BECALM_BENCH_PROCESS"] === "1") await serve();
