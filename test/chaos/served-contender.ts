/** `becalm serve` in a process of its own, which takes alerts over HTTP as a sender sends them. */
import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Answer, Contender, ContenderOptions, ToContender } from "./contender.ts";
import type { SentAlert } from "./sender.ts";

const ANSWERED_WITHIN_MS = 30_000;

type Fate = {
  readonly index: number;
  readonly outcome: string;
  readonly code?: string;
  readonly instances: readonly { readonly id: string; readonly outcome: string }[];
};

type ServedOptions = ContenderOptions & { readonly folder: string; readonly onFault: (text: string) => void };

export class ServedContender implements Contender {
  readonly name: string;
  isDead = false;
  isStopped = false;
  stoppedMs = 0;
  /** Alerts that it has acknowledged. */
  takenCount = 0;
  readonly #child: ChildProcess;
  #url: string | null = null;

  constructor(name: string, program: string, { folder, onFault, ...options }: ServedOptions) {
    this.name = name;
    const file = join(folder, `${name.replaceAll(" ", "-")}.json`);
    writeFileSync(file, JSON.stringify({ policies: options.policies }));
    const where = ["--store", options.storeUrl, "--namespace", options.namespace, "--listen", "127.0.0.1:0"];
    this.#child = spawn(process.execPath, [program, "serve", "--policies", file, ...where], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    this.#child.stderr?.on("data", (piece: Buffer) => {
      const text = piece.toString();
      for (const line of text.split("\n")) if (/"level":(50|40)|^error/.test(line)) onFault(line.slice(0, 300));
      if (this.#url !== null) return;
      said += text;
      this.#url = /^becalm: listening on (\S+)$/m.exec(said)?.[1] ?? null;
    });
    this.#child.on("exit", () => {
      this.isDead = true;
    });
  }

  get isReady(): boolean {
    return this.#url !== null;
  }

  async ingest(alerts: readonly object[]): Promise<Answer | null> {
    try {
      const response = await fetch(`${this.#url}/v1/alerts`, {
        method: "POST",
        headers: { "content-type": "application/json" },
        body: JSON.stringify((alerts as readonly SentAlert[]).map(written)),
        signal: AbortSignal.timeout(ANSWERED_WITHIN_MS),
      });
      const body = (await response.json()) as { alerts?: readonly Fate[]; error?: unknown };
      if (body.alerts === undefined) return { taken: [], refused: [], error: JSON.stringify(body) };
      const taken = body.alerts.flatMap(({ index, instances }) =>
        instances.map(({ id, outcome }) => ({ alert: index, id, outcome })),
      );
      this.takenCount += taken.length;
      const refused = body.alerts.flatMap(({ index, code }) => (code === undefined ? [] : [{ alert: index, code }]));
      return { taken, refused };
    } catch {
      return null;
    }
  }

  /** Its clock is the machine's. */
  tell(_message: ToContender): void {}

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async stop(ms: number): Promise<void> {
    this.isStopped = true;
    this.#child.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.#child.kill("SIGCONT");
    this.stoppedMs += ms;
    this.isStopped = false;
  }
}

/** A body says times as texts. */
function written({ startsAt, ...alert }: SentAlert): object {
  return { ...alert, startsAt: new Date(startsAt).toISOString() };
}
