/** Whoever takes alerts under the harness, in a process of its own: Becalm's engine, or the textbook way. All speak the same messages. */
import { type ChildProcess, fork } from "node:child_process";
import type { PointOrder } from "./at-point.ts";

export type ContenderOptions = {
  readonly storeUrl: string;
  readonly namespace: string;
  readonly policies: readonly object[];
  readonly targetUrl: string;
  /** Workers run the attempts, and this process runs none. */
  readonly leaveEffects?: boolean;
  /** It knows of no other engine, and its lock keeps nobody out. */
  readonly isRace?: boolean;
  /** BullMQ's Redis, for workers that go through it. */
  readonly queueUrl?: string;
};

export type ToContender =
  | { readonly type: "ingest"; readonly id: number; readonly alerts: readonly object[] }
  | { readonly type: "clock"; readonly aheadMs: number }
  | { readonly type: "point"; readonly order: PointOrder }
  | { readonly type: "end" };

export type Answer = {
  readonly taken: readonly { readonly alert: number; readonly id: string; readonly outcome: string }[];
  readonly refused: readonly { readonly alert: number; readonly code: string }[];
  readonly error?: string;
};

export type FromContender =
  | { readonly type: "ready" }
  | { readonly type: "fault"; readonly text: string }
  | (Answer & { readonly type: "answer"; readonly id: number });

/** What the harness does to one, whatever it is. */
export interface Contender {
  readonly name: string;
  readonly isReady: boolean;
  readonly isDead: boolean;
  readonly isStopped: boolean;
  /** How long it has been stopped altogether. */
  readonly stoppedMs: number;
  /** null: it died before it answered. */
  ingest(alerts: readonly object[]): Promise<Answer | null>;
  tell(message: ToContender): void;
  kill(): void;
  /** SIGSTOP, and SIGCONT after so long. */
  stop(ms: number): Promise<void>;
}

export class ForkedContender implements Contender {
  readonly name: string;
  readonly child: ChildProcess;
  isReady = false;
  isDead = false;
  stoppedMs = 0;
  isStopped = false;
  readonly #waiting = new Map<number, (answer: Answer | null) => void>();
  #count = 0;

  constructor(name: string, program: string, options: ContenderOptions & { onFault: (text: string) => void }) {
    this.name = name;
    const { onFault, ...given } = options;
    this.child = fork(program, [JSON.stringify(given)], { stdio: ["ignore", "ignore", "pipe", "ipc"] });
    this.child.stderr?.on("data", (piece: Buffer) => onFault(`${name} said: ${piece.toString().slice(0, 500)}`));
    this.child.on("message", (message: FromContender) => {
      if (message.type === "ready") this.isReady = true;
      if (message.type === "fault") onFault(message.text);
      if (message.type === "answer") this.#answered(message.id, message);
    });
    this.child.on("error", () => {});
    this.child.on("exit", () => {
      this.isDead = true;
      for (const id of this.#waiting.keys()) this.#answered(id, null);
    });
  }

  ingest(alerts: readonly object[]): Promise<Answer | null> {
    this.#count += 1;
    const id = this.#count;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.tell({ type: "ingest", id, alerts });
    });
  }

  tell(message: ToContender): void {
    if (!this.isDead) this.child.send(message, () => {});
  }

  kill(): void {
    this.child.kill("SIGKILL");
  }

  async stop(ms: number): Promise<void> {
    this.isStopped = true;
    this.child.kill("SIGSTOP");
    await new Promise((resolve) => setTimeout(resolve, ms));
    this.child.kill("SIGCONT");
    this.stoppedMs += ms;
    this.isStopped = false;
  }

  #answered(id: number, answer: Answer | null): void {
    this.#waiting.get(id)?.(answer);
    this.#waiting.delete(id);
  }
}
