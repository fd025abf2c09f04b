import { Counter, Gauge, type Registry } from "prom-client";
import type { CommittedStep } from "../../committed-steps.ts";

type Kind = { readonly policy: string; readonly verdict: string; readonly reason: string; count: number };
type Change = { readonly policy: string; readonly from: string; readonly to: string; count: number };

/** Counts steps by kind; a storm has few kinds, so a step costs a look into a map. */
export class StepCounts {
  readonly #kinds = new Map<string, Kind>();
  readonly #changes = new Map<string, Change>();
  #lastAtMs = 0;

  constructor(registry: Registry, functionOf: (policy: string) => string) {
    const kinds = this.#kinds;
    const changes = this.#changes;
    const last = () => this.#lastAtMs / 1_000;
    const registers = [registry];
    new Counter({
      name: "becalm_verdicts_total",
      help: "Decisions about instances, by policy, convergence function, verdict and reason.",
      labelNames: ["policy", "function", "verdict", "reason"],
      registers,
      collect() {
        this.reset();
        for (const { policy, verdict, reason, count } of kinds.values())
          this.inc({ policy, function: functionOf(policy), verdict, reason }, count);
      },
    });
    new Counter({
      name: "becalm_state_changes_total",
      help: "Steps of instances, by the state that they left (`none`: created) and the one that they reached.",
      labelNames: ["policy", "from", "to"],
      registers,
      collect() {
        this.reset();
        for (const { policy, from, to, count } of changes.values()) this.inc({ policy, from, to }, count);
      },
    });
    new Gauge({
      name: "becalm_last_decision_timestamp_seconds",
      help: "When this process last committed a step; 0: not yet.",
      registers,
      collect() {
        this.set(last());
      },
    });
  }

  add(steps: readonly CommittedStep[]): void {
    for (const { policy, verdict, reason, from, to, atMs } of steps) {
      if (verdict !== null) countIn(this.#kinds, `${policy} ${verdict} ${reason}`, { policy, verdict, reason });
      const before = from ?? "none";
      if (before !== to) countIn(this.#changes, `${policy} ${before} ${to}`, { policy, from: before, to });
      if (atMs > this.#lastAtMs) this.#lastAtMs = atMs;
    }
  }
}

function countIn<Row extends { count: number }>(rows: Map<string, Row>, key: string, row: Omit<Row, "count">): void {
  const known = rows.get(key);
  if (known === undefined) rows.set(key, { ...row, count: 1 } as Row);
  else known.count += 1;
}
