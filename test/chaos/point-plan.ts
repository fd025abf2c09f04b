/** Has every named point reached by some process, which is killed there, and by another one, which is stopped there. */
import { readFileSync } from "node:fs";
import type { SeededRandom } from "../simulation/seeded-random.ts";
import type { PointOrder } from "./at-point.ts";
import type { ChaosScenario } from "./chaos-scenario.ts";
import type { ForkedContender } from "./contender.ts";
import { NAMED_POINTS, type NamedPoint } from "./named-points.ts";

const PASSES_MAX = 4;
/** A process that has not come to its point after so long gets another one. */
const TRIED_MS = 15_000;
/** Before an engine that is to reach a point at its end is asked to stop. */
const LIVED_MS = 1_500;

type Deed = { readonly point: NamedPoint; readonly signal: PointOrder["signal"] };
type Try = { readonly deed: Deed; readonly sinceMs: number; isEnding: boolean };

export type PointPlanOptions = {
  readonly points: readonly NamedPoint[];
  readonly random: SeededRandom;
  readonly logPath: string;
};

/** Those that processes of the scenario can reach; empty: none is to be. */
export function pointsOf({ faults, deployment, engines }: ChaosScenario): readonly NamedPoint[] {
  if (!faults.some(({ kind }) => kind === "reach a point")) return [];
  const store = deployment === "lmdb" ? "lmdb" : "redis";
  return NAMED_POINTS.filter(({ on }) => on === "any" || on === store || (on === "shared" && engines > 1));
}

export class PointPlan {
  /** Those that nobody has come to, the next one first. */
  readonly #left: Deed[];
  readonly #tries = new Map<ForkedContender, Try>();
  readonly #options: PointPlanOptions;
  readonly #contenders = new Map<number | undefined, ForkedContender>();
  #readCount = 0;

  constructor(options: PointPlanOptions) {
    this.#options = options;
    const deeds = options.points.flatMap((point): Deed[] => [
      { point, signal: "SIGKILL" },
      { point, signal: "SIGSTOP" },
    ]);
    this.#left = shuffled(deeds, options.random);
  }

  /** What nobody has come to. */
  get unreached(): readonly string[] {
    return [...this.#left, ...[...this.#tries.values()].map(({ deed }) => deed)].map(nameOf);
  }

  /** There were some, and all are reached. */
  get isDone(): boolean {
    return this.#options.points.length > 0 && this.unreached.length === 0;
  }

  /**
   * Looks who has come to its point, and gives everybody else one. Those that have stopped themselves go on after one
   * of `stopMs`. Returns how many have come there.
   */
  look(living: readonly ForkedContender[], stopMs: readonly number[]): number {
    const reached = this.#readLog(stopMs);
    const nowMs = performance.now();
    for (const [contender, one] of this.#tries) {
      const isOver = contender.isDead || nowMs - one.sinceMs > TRIED_MS;
      if (isOver) this.#giveUp(contender, one);
      else if (one.deed.point.atItsEnd === true && !one.isEnding && nowMs - one.sinceMs > LIVED_MS) {
        one.isEnding = true;
        contender.tell({ type: "end" });
      }
    }
    for (const contender of living) {
      this.#contenders.set(contender.child.pid, contender);
      if (contender.isReady && !this.#tries.has(contender)) this.#give(contender, nowMs);
    }
    return reached;
  }

  #give(contender: ForkedContender, nowMs: number): void {
    const deed = this.#left.shift();
    if (deed === undefined) return;
    this.#tries.set(contender, { deed, sinceMs: nowMs, isEnding: false });
    const passes = deed.point.isRare === true ? 0 : this.#options.random.below(PASSES_MAX);
    const order = { point: deed.point.name, signal: deed.signal, passes, logPath: this.#options.logPath };
    contender.tell({ type: "point", order });
  }

  #giveUp(contender: ForkedContender, { deed }: Try): void {
    this.#tries.delete(contender);
    this.#left.push(deed);
  }

  /** Who came to the point that it had before is counted, and goes on, like any other. */
  #readLog(stopMs: readonly number[]): number {
    const lines = readFileSync(this.#options.logPath, "utf8").split("\n").slice(0, -1);
    const fresh = lines.slice(this.#readCount);
    this.#readCount = lines.length;
    for (const line of fresh) {
      const [, pid, name] = /^(\d+) (.*)$/.exec(line) ?? [];
      const contender = this.#contenders.get(Number(pid));
      if (contender !== undefined && nameOf(this.#tries.get(contender)?.deed) === name) this.#tries.delete(contender);
      const at = this.#left.findIndex((deed) => nameOf(deed) === name);
      if (at >= 0) this.#left.splice(at, 1);
      if (name?.startsWith("SIGSTOP") === true) void contender?.stop(this.#options.random.pick(stopMs));
    }
    return fresh.length;
  }
}

function shuffled<Item>(items: readonly Item[], random: SeededRandom): Item[] {
  const left = [...items];
  return items.map(() => left.splice(random.below(left.length), 1)[0] as Item);
}

function nameOf(deed: Deed | undefined): string {
  return deed === undefined ? "" : `${deed.signal} ${deed.point.name}`;
}
