/**
 * What Prometheus reads. The hot path only counts in maps; labels are resolved when somebody reads. No label holds an
 * instance, a fingerprint or anything else that a storm makes more of.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { CommittedStep } from "../../committed-steps.ts";
import type { EngineStatus } from "../../engine.ts";
import { OWNS_NOTHING } from "../../runtime/owners/owners.ts";
import type { CommitOutcome } from "../../stores/store.ts";
import { StepCounts } from "./step-counts.ts";
import { addWaiting, type Waiting } from "./waiting.ts";

/**
 * What a counter is known to count is there from the start: to Prometheus a counter that comes to be with 1 has not
 * increased.
 */
const ALERT_OUTCOMES = ["created", "duplicate", "resolved", "ignored", "late", "unmatched", "rejected", "refused"];
const RELOAD_OUTCOMES = ["done", "refused"] as const;
const COMMIT_OUTCOMES: readonly CommitOutcome[] = ["applied", "duplicate", "conflict", "fenced"];
const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const DELAY_SECONDS = [1, 5, 15, 30, 60, 120, 300, 900, 3_600];

export type MetricsSources = {
  readonly version: string;
  readonly now: () => number;
  readonly functionOf: (policy: string) => string;
  /** Asked when somebody reads, at most once in a while. */
  readonly waiting: () => Promise<Waiting>;
  readonly viewedAlerts: () => number;
  readonly heldBodyBytes: () => number;
  /** Absent: there is no engine yet. */
  readonly status?: () => EngineStatus;
};

export class Metrics {
  readonly registry = new Registry();
  readonly #steps: StepCounts;
  readonly #requests: Counter<"method" | "route" | "status">;
  readonly #requestSeconds: Histogram<"route">;
  readonly #alerts: Counter<"outcome">;
  readonly #truncated: Counter;
  readonly #delay: Histogram;
  readonly #reloads: Counter<"outcome">;
  readonly commitSeconds: Histogram;
  readonly commits: Counter<"outcome">;
  readonly storeErrors: Counter<"call" | "code">;
  readonly timerLateness: Histogram;
  readonly effectSeconds: Histogram;

  constructor(sources: MetricsSources) {
    const registers = [this.registry];
    const counter = <Label extends string>(name: string, help: string, labelNames: Label[] = []) =>
      new Counter<Label>({ name, help, labelNames, registers });
    const histogram = <Label extends string>(
      name: string,
      help: string,
      options: { labelNames?: Label[]; buckets?: number[] } = {},
    ) =>
      new Histogram<Label>({
        name,
        help,
        labelNames: options.labelNames ?? [],
        buckets: options.buckets ?? SECONDS,
        registers,
      });
    this.#steps = new StepCounts(this.registry, sources.functionOf);
    this.#requests = counter("becalm_http_requests_total", "Requests answered.", ["method", "route", "status"]);
    this.#requestSeconds = histogram(
      "becalm_http_request_duration_seconds",
      "From a request's headers to its answer.",
      { labelNames: ["route"] },
    );
    this.#alerts = counter(
      "becalm_alerts_received_total",
      "Alerts received, once for each policy that they concern, by what became of them.",
      ["outcome"],
    );
    this.#truncated = counter(
      "becalm_alerts_truncated_total",
      "Alerts that senders left out of webhooks, as they say.",
    );
    this.#delay = histogram("becalm_decision_delay_seconds", "From an alert's start to its first decision.", {
      buckets: DELAY_SECONDS,
    });
    this.#reloads = counter("becalm_reloads_total", "Readings of the policy file after the start.", ["outcome"]);
    this.commitSeconds = histogram("becalm_commit_duration_seconds", "Commits, from the call to the store's answer.");
    this.commits = counter("becalm_commits_total", "Commits, by the store's answer.", ["outcome"]);
    this.storeErrors = counter("becalm_store_errors_total", "Calls of the store that failed.", ["call", "code"]);
    this.timerLateness = histogram(
      "becalm_timer_lateness_seconds",
      "How long after its due time a timer was taken up.",
    );
    this.effectSeconds = histogram(
      "becalm_effect_duration_seconds",
      "From the commit of an effect to the commit of its result.",
      { buckets: [...SECONDS, 30, 60, 300] },
    );
    for (const outcome of ALERT_OUTCOMES) this.#alerts.inc({ outcome }, 0);
    for (const outcome of RELOAD_OUTCOMES) this.#reloads.inc({ outcome }, 0);
    for (const outcome of COMMIT_OUTCOMES) this.commits.inc({ outcome }, 0);
    addGauges(this.registry, sources);
  }

  stepped(steps: readonly CommittedStep[]): void {
    this.#steps.add(steps);
  }

  answered({ method, route, status, ms }: { method: string; route: string; status: number; ms: number }): void {
    this.#requests.inc({ method, route, status: String(status) });
    this.#requestSeconds.observe({ route }, ms / 1_000);
  }

  received(outcome: string, count: number): void {
    if (count > 0) this.#alerts.inc({ outcome }, count);
  }

  leftOut(count: number): void {
    if (count > 0) this.#truncated.inc(count);
  }

  decidedAfter(delayMs: number): void {
    this.#delay.observe(Math.max(delayMs, 0) / 1_000);
  }

  reloaded(outcome: (typeof RELOAD_OUTCOMES)[number]): void {
    this.#reloads.inc({ outcome });
  }

  async read(): Promise<{ type: string; body: string }> {
    return { type: this.registry.contentType, body: await this.registry.metrics() };
  }
}

function addGauges(registry: Registry, sources: MetricsSources): void {
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  new Gauge({ name: "becalm_build_info", help: "The version that runs.", labelNames: ["version"], registers }).set(
    { version: sources.version },
    1,
  );
  const startedAt = sources.now() / 1_000;
  gauge("becalm_process_start_time_seconds", "When the process started.", () => startedAt);
  gauge("becalm_process_resident_memory_bytes", "Memory of the process.", () => process.memoryUsage.rss());
  gauge(
    "becalm_viewed_alerts",
    "Alerts that the Alertmanager API shows, and those that ended lately.",
    sources.viewedAlerts,
  );
  gauge("becalm_http_held_body_bytes", "Bodies of requests in progress.", sources.heldBodyBytes);
  addStatus(registers, sources.status ?? (() => UNKNOWN));
  addProcessCpu(registers);
  addLoopDelay(registers);
  addWaiting(registers, sources);
}

const UNKNOWN: EngineStatus = {
  alertsUnderWay: 0,
  bytesUnderWay: 0,
  uncountedFailures: 0,
  refusal: null,
  ...OWNS_NOTHING,
  clockSkewMs: null,
  durability: null,
  lostCommits: 0,
};

/** What the engine knows of itself and of its store. */
function addStatus(registers: Registry[], status: () => EngineStatus): void {
  const gauge = (name: string, help: string, value: (now: EngineStatus) => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value(status()));
      },
    });
  gauge("becalm_takes_alerts", "1: alerts are taken; 0: they are refused, and /-/ready says why.", (now) =>
    now.refusal === null ? 1 : 0,
  );
  gauge("becalm_alerts_under_way", "Alerts that are being decided.", (now) => now.alertsUnderWay);
  gauge("becalm_bytes_under_way", "About how many bytes the alerts under way will write.", (now) => now.bytesUnderWay);
  gauge(
    "becalm_brake_uncounted_failures",
    "Failed attempts that the brakes could not count yet; it is tried again every second.",
    (now) => now.uncountedFailures,
  );
  gauge("becalm_members", "Processes that share the partitions, this one included.", (now) => now.members);
  gauge(
    "becalm_namespace_format",
    "Format of the namespace by which this process decides.",
    (now) => now.format ?? Number.NaN,
  );
  gauge("becalm_owned_partitions", "Partitions that this process owns.", (now) => now.ownedPartitions);
  gauge("becalm_forwarded_batches", "Batches that other processes are to decide.", (now) => now.forwardedBatches);
  gauge(
    "becalm_forwarded_oldest_seconds",
    "How long the oldest batch that another process is to decide has waited.",
    (now) => now.oldestForwardedMs / 1_000,
  );
  gauge(
    "becalm_clock_skew_seconds",
    "How far this process's clock is ahead of the store's.",
    (now) => (now.clockSkewMs ?? Number.NaN) / 1_000,
  );
  addStatusCounters(registers, status);
  new Gauge({
    name: "becalm_store_info",
    help: "The store's durability profile.",
    labelNames: ["durability"],
    registers,
    collect() {
      this.reset();
      this.set({ durability: status().durability ?? "unknown" }, 1);
    },
  });
}

function addStatusCounters(registers: Registry[], status: () => EngineStatus): void {
  const counter = (name: string, help: string, value: (now: EngineStatus) => number) => {
    let told = 0;
    new Counter({
      name,
      help,
      registers,
      collect() {
        const count = value(status());
        this.inc(count - told);
        told = count;
      },
    });
  };
  counter(
    "becalm_lost_commits_total",
    "Commits that the store had acknowledged and has lost.",
    (now) => now.lostCommits,
  );
  counter(
    "becalm_failed_exports_total",
    "Sweeps of the retention that ended early, because what they were to remove could not be exported.",
    (now) => now.failedExports ?? 0,
  );
}

function addProcessCpu(registers: Registry[]): void {
  let lastSeconds = 0;
  new Counter({
    name: "becalm_process_cpu_seconds_total",
    help: "CPU time of the process.",
    registers,
    collect() {
      const { user, system } = process.cpuUsage();
      const seconds = (user + system) / 1e6;
      this.inc(seconds - lastSeconds);
      lastSeconds = seconds;
    },
  });
}

function addLoopDelay(registers: Registry[]): void {
  const delay = monitorEventLoopDelay({ resolution: 20 });
  delay.enable();
  new Gauge({
    name: "becalm_event_loop_delay_p99_seconds",
    help: "How late the event loop was, 99th percentile since the last reading.",
    registers,
    collect() {
      this.set(delay.percentile(99) / 1e9);
      delay.reset();
    },
  });
}
