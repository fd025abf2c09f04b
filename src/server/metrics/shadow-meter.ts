/** What the last look at the shadow found, for Prometheus. There only where a shadow runs. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { ShadowReport, ShadowStatus } from "../../engine.ts";
import type { ShadowLook } from "../shadow/shadow-watch.ts";

/** `status`: of the shadow as it is now. Gives what hears of each look. */
export function shadowMeter(registry: Registry, status: () => ShadowStatus | undefined): (look: ShadowLook) => void {
  const registers = [registry];
  let last: ShadowReport | null = null;
  const gauge = (name: string, help: string, numberOf: (report: ShadowReport) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(last === null ? Number.NaN : numberOf(last));
      },
    });
  gauge("becalm_shadow_instances", "Instances that were compared.", ({ summary }) => summary.instances);
  gauge(
    "becalm_shadow_left_out",
    "Instances that were left out: too many, or unreadable.",
    (one) => one.leftOut + one.unreadable,
  );
  gauge("becalm_shadow_refused_answers", "Answers that no instance accepts under the shadow.", (one) => one.refused);
  new Gauge({
    name: "becalm_shadow_changes",
    help: "Instances that would go another way under the shadow.",
    labelNames: ["kind"],
    registers,
    collect() {
      if (last === null) return;
      const newlyExecuted = sum(last, ({ newlyExecuted }) => newlyExecuted);
      const newlySkipped = sum(last, ({ newlySkipped }) => newlySkipped);
      this.set({ kind: "newly_executed" }, newlyExecuted);
      this.set({ kind: "newly_skipped" }, newlySkipped);
      this.set({ kind: "other" }, last.summary.changed - newlyExecuted - newlySkipped);
    },
  });
  new Gauge({
    name: "becalm_shadow_executed",
    help: "Instances that were executed (was), and that the shadow would execute (now).",
    labelNames: ["side"],
    registers,
    collect() {
      if (last === null) return;
      this.set({ side: "was" }, last.summary.was.executed);
      this.set({ side: "now" }, last.summary.now.executed);
    },
  });
  addStatus(registers, status);
  return addLooks(registers, (report) => {
    last = report;
  });
}

function addStatus(registers: Registry[], status: () => ShadowStatus | undefined): void {
  const gauge = (name: string, help: string, numberOf: (status: ShadowStatus) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        const now = status();
        if (now !== undefined) this.set(numberOf(now));
      },
    });
  gauge(
    "becalm_shadow_since_seconds",
    "When the candidate became the shadow.",
    ({ since }) => Date.parse(since) / 1_000,
  );
  gauge(
    "becalm_shadow_unmatched_alerts",
    "Alerts that the shadow matches and no policy in force does, as far as they are remembered.",
    ({ unmatched }) => unmatched,
  );
  gauge(
    "becalm_shadow_forgotten_alerts",
    "Alerts of that kind that were forgotten because there were too many.",
    ({ forgotten }) => forgotten,
  );
}

function addLooks(registers: Registry[], keep: (report: ShadowReport) => void): (look: ShadowLook) => void {
  const looks = new Counter({
    name: "becalm_shadow_looks_total",
    help: "Looks at the shadow.",
    labelNames: ["outcome"],
    registers,
  });
  const lookSeconds = new Gauge({
    name: "becalm_shadow_look_duration_seconds",
    help: "How long the last look took, in turns beside other work.",
    registers,
  });
  const lookedAt = new Gauge({
    name: "becalm_shadow_last_look_timestamp_seconds",
    help: "When the shadow was last looked at.",
    registers,
  });
  return ({ report, tookMs }) => {
    looks.inc({ outcome: report === null ? "failed" : "done" });
    lookSeconds.set(tookMs / 1_000);
    if (report === null) return;
    lookedAt.setToCurrentTime();
    keep(report);
  };
}

function sum({ policies }: ShadowReport, countOf: (policy: ShadowReport["policies"][number]) => number): number {
  return policies.reduce((total, policy) => total + countOf(policy), 0);
}
