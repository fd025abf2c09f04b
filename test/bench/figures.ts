/** The figures: what each compares, and what it should reach. A figure is a ratio taken in one run, its arms interleaved, or a number with a unit. */
import type { ArmName, Sample, SampleRequest } from "./arms/arm.ts";
import type { Bench } from "./bench.ts";
import { detectPeaks } from "./detect-memory.ts";
import type { DetectionSample } from "./detection.ts";
import { hasAlertmanager, latencyAt, type Program, served } from "./http.ts";
import { startTimes } from "./start-times.ts";
import { median } from "./stats.ts";
import type { WorkName } from "./works.ts";

export type Profile = "none" | "everysec" | "always";

/** `value` is what must be reached, `aim` where it should end, `guard` what --quick insists on. */
export type Target = {
  readonly direction: "at least" | "at most";
  readonly value: number;
  readonly aim: number;
  readonly guard: number;
};

export type Row = {
  readonly figure: string;
  readonly value: number;
  readonly unit: string;
  readonly target: Target | null;
  /** The medians that it is made of. */
  readonly parts: Readonly<Record<string, number>>;
};

/** `when`: `always`; `full`: not with --quick, which is for ratios that hold in a busy minute; `asked`: with --million or --only. */
export type Figure = {
  readonly name: string;
  readonly when: "always" | "full" | "asked";
  run(bench: Bench): Promise<Row[]>;
};

const atLeast = (value: number, aim: number, guard: number): Target => ({ direction: "at least", value, aim, guard });
const atMost = (value: number, aim: number, guard: number): Target => ({ direction: "at most", value, aim, guard });

/** Alerts of a sample: full, and with --quick. The textbook's cost does not grow with their number, and it is slow. */
const COUNTS = { storm: [100_000, 10_000], textbook: [10_000, 1_000], small: [20_000, 4_000] } as const;

type Lane = { readonly name: string; readonly arm: ArmName; readonly request: Omit<SampleRequest, "url" | "logPath"> };

export const FIGURES: readonly Figure[] = [
  { name: "storm", when: "always", run: (bench) => storm(bench, "none") },
  { name: "storm-everysec", when: "full", run: (bench) => storm(bench, "everysec") },
  { name: "storm-always", when: "full", run: (bench) => storm(bench, "always") },
  {
    name: "all-execute",
    when: "always",
    run: async (bench) => {
      const lanes = [
        lane("becalm", "all-execute", bench.size(COUNTS.small)),
        lane("bullmq", "all-execute", bench.size(COUNTS.small)),
      ];
      const rates = await perSecond(bench, lanes, "none");
      return [
        ratio("all execute: Becalm / BullMQ", rates, { of: "becalm", to: "bullmq", target: atLeast(1.2, 2, 0.5) }),
      ];
    },
  },
  {
    name: "groups",
    when: "always",
    run: async (bench) => {
      const counts = { storm: bench.size(COUNTS.storm), small: bench.size(COUNTS.small) };
      const works: readonly (readonly [WorkName, number])[] = [
        ["storm", counts.storm],
        ["one-group", counts.storm],
        ["distinct-locked", counts.small],
        ["distinct-plain", counts.small],
      ];
      const lanes = works.map(([work, count]) => ({ ...lane("becalm", work, count), name: work }));
      const rates = await perSecond(bench, lanes, "none");
      return [
        ratio("one single group / 100 groups", rates, {
          of: "one-group",
          to: "storm",
          target: atLeast(0.8, 0.95, 0.4),
        }),
        ratio("all distinct groups: with forming lock / without rule", rates, {
          of: "distinct-locked",
          to: "distinct-plain",
          target: atLeast(0.6, 0.8, 0.2),
        }),
      ];
    },
  },
  { name: "lmdb", when: "full", run: lmdb },
  { name: "redis-memory", when: "always", run: redisMemory },
  { name: "growth", when: "full", run: growth },
  { name: "latency", when: "full", run: latency },
  { name: "wake-up", when: "full", run: wakeUp },
  { name: "two-processes", when: "full", run: twoProcesses },
  { name: "start", when: "always", run: start },
  { name: "detection", when: "full", run: detectionGrowth },
  { name: "http", when: "full", run: http },
  { name: "million", when: "asked", run: million },
];

function lane(arm: ArmName, work: WorkName, count: number): Lane {
  return { name: arm, arm, request: { work, count } };
}

async function storm(bench: Bench, profile: Profile): Promise<Row[]> {
  const names: readonly ArmName[] = ["becalm", "bullmq", "textbook", "ceiling", "ceiling-apart", "becalm-memory"];
  const lanes = names.map((arm) => lane(arm, "storm", bench.size(arm === "textbook" ? COUNTS.textbook : COUNTS.storm)));
  const rates = await perSecond(bench, profile === "none" ? lanes : lanes.slice(0, -1), profile);
  const toCeiling = { none: atLeast(0.5, 0.65, 0.08), everysec: null, always: atLeast(1.2, 1.6, 0.1) }[profile];
  const named = (what: string) => `storm, ${profileName(profile)}: ${what}`;
  const rows = [
    ratio(named("Becalm / BullMQ"), rates, { of: "becalm", to: "bullmq", target: atLeast(2.5, 4, 0.75) }),
    ratio(named("Becalm / ceiling of the same bytes"), rates, { of: "becalm", to: "ceiling", target: toCeiling }),
    ratio(named("Becalm / ceiling, checkpoints and lines apart"), rates, {
      of: "becalm",
      to: "ceiling-apart",
      target: toCeiling,
    }),
    ratio(named("Becalm / textbook"), rates, { of: "becalm", to: "textbook", target: atLeast(5, 8, 1.5) }),
  ];
  if (profile !== "none") return rows;
  const target = atLeast(1.3, 2, 0.6);
  return [...rows, ratio(named("memory store / Redis"), rates, { of: "becalm-memory", to: "becalm", target })];
}

function profileName(profile: Profile): string {
  return profile === "none" ? "no AOF" : `AOF ${profile}`;
}

/** Each lane's samples, one of each in turn; every arm is warmed up once before. */
export async function interleaved(
  bench: Bench,
  lanes: readonly Lane[],
  profile: Profile,
): Promise<Map<string, Sample[]>> {
  const samples = new Map<string, Sample[]>(lanes.map(({ name }) => [name, []]));
  for (const { name, arm, request } of lanes)
    await sampleOf(bench, { name, arm, request: { ...request, count: Math.min(request.count, 10_000) } }, profile);
  for (let round = 1; round <= bench.rounds; round += 1) {
    for (const each of lanes) samples.get(each.name)?.push(await sampleOf(bench, each, profile));
  }
  return samples;
}

async function sampleOf(bench: Bench, { arm, request }: Lane, profile: Profile): Promise<Sample> {
  const process = bench.processOf(arm);
  if (arm === "becalm-memory")
    return process.run("sample", { arm, request: { ...request, url: null, logPath: bench.logPath } });
  const sampleAt = (url: string) =>
    process.run("sample", { arm, request: { ...request, url, logPath: bench.logPath } });
  return arm === "becalm-lmdb" ? bench.withFolder(sampleAt) : bench.withServer(profile, sampleAt);
}

/** Alerts a second of each lane: the median of its samples. */
async function perSecond(bench: Bench, lanes: readonly Lane[], profile: Profile): Promise<Record<string, number>> {
  const samples = await interleaved(bench, lanes, profile);
  return Object.fromEntries(
    [...samples].map(([name, taken]) => [name, median(taken.map(({ count, ms }) => (count / ms) * 1_000))]),
  );
}

function ratio(
  figure: string,
  rates: Record<string, number>,
  { of, to, target }: { of: string; to: string; target: Target | null },
): Row {
  const [above, below] = [rates[of] as number, rates[to] as number];
  return { figure, value: above / below, unit: "x", target, parts: { [`${of}/s`]: above, [`${to}/s`]: below } };
}

function withParts(row: Row, parts: Readonly<Record<string, number>>): Row {
  return { ...row, parts: { ...row.parts, ...parts } };
}

/** Both keep what they answered through a loss of power. The memory store is what deciding alone costs. */
async function lmdb(bench: Bench): Promise<Row[]> {
  const rows: Row[] = [];
  for (const work of ["storm", "all-execute", "distinct-plain"] as const) {
    const count = bench.size(COUNTS.small);
    const lanes = (["becalm-lmdb", "becalm", "becalm-memory"] as const).map((arm) => lane(arm, work, count));
    const rates = await perSecond(bench, lanes, "always");
    const parts = Object.fromEntries(Object.entries(rates).map(([name, rate]) => [`${name}/s`, rate]));
    const row = ratio(`${work}: LMDB / Redis, AOF always`, rates, { of: "becalm-lmdb", to: "becalm", target: null });
    rows.push({ ...row, parts });
  }
  return rows;
}

async function redisMemory(bench: Bench): Promise<Row[]> {
  const request = { work: "storm" as const, count: bench.size(COUNTS.storm), logPath: bench.logPath };
  const value = await bench.withServer("none", (url) =>
    bench.processOf("becalm").run("redisMemory", { ...request, url }),
  );
  return [
    {
      figure: "Redis memory per converged alert",
      value,
      unit: "B",
      target: atMost(1_700, 1_100, 1_800),
      parts: { alerts: request.count },
    },
  ];
}

/** A process of its own, on the memory store: does the cost of an alert grow with the storm? */
async function growth(bench: Bench): Promise<Row[]> {
  const [small, large] = bench.isQuick ? [4_000, 20_000] : [10_000, 100_000];
  const rounds: Sample[][] = [];
  for (let round = 1; round <= bench.rounds; round += 1) {
    rounds.push(
      await bench.inOwnProcess((process) =>
        process.run("warmedUp", { counts: [small, large], url: null, logPath: bench.logPath }),
      ),
    );
  }
  const cost = (index: number) => median(rounds.map((samples) => costUs(samples[index] as Sample)));
  const last = (pick: (sample: Sample) => number) => median(rounds.map((samples) => pick(samples[1] as Sample)));
  const parts = {
    [`us at ${small}`]: cost(0),
    [`us at ${large}`]: cost(1),
    [`alerts/s at ${large}`]: last(({ count, ms }) => (count / ms) * 1_000),
    "peak MB": last(({ rssMaxBytes }) => rssMaxBytes / 1e6),
  };
  const figure = `memory store: cost per alert at ${large} / at ${small}`;
  return [{ figure, value: cost(1) / cost(0), unit: "x", target: atMost(1.2, 1.05, 2), parts }];
}

async function detectionGrowth(bench: Bench): Promise<Row[]> {
  const [small, large] = bench.isQuick ? [10_000, 100_000] : [10_000, 1_000_000];
  const samples: { small: DetectionSample; large: DetectionSample }[] = [];
  const take = (count: number) => bench.inOwnProcess((process) => process.run("detection", { count }));
  for (let round = 1; round <= bench.rounds; round += 1)
    samples.push({ small: await take(small), large: await take(large) });
  const medianOf = (pick: (sample: DetectionSample) => number, size: "small" | "large") =>
    median(samples.map((sample) => pick(sample[size])));
  const cost = ({ count, ms, makingMs }: DetectionSample) => ((ms - makingMs) * 1_000) / count;
  const costs = { small: medianOf(cost, "small"), large: medianOf(cost, "large") };
  const [smallPeak = 0, largePeak = 0] = (await detectPeaks([small, large], bench.rounds)).map(
    (bytes) => median(bytes) / 1e6,
  );
  return [
    {
      figure: `detection: cost per record at ${large} / at ${small}`,
      value: costs.large / costs.small,
      unit: "x",
      target: atMost(1.2, 1, 2),
      parts: {
        [`us at ${small}`]: costs.small,
        [`us at ${large}`]: costs.large,
        "records/s": 1e6 / costs.large,
        alerts: medianOf(({ alertCount }) => alertCount, "large"),
      },
    },
    {
      figure: `\`becalm detect\`: peak memory at ${large} / at ${small}`,
      value: largePeak / smallPeak,
      unit: "x",
      target: atMost(1.3, 1.1, 1.6),
      parts: { [`MB at ${small}`]: smallPeak, [`MB at ${large}`]: largePeak },
    },
  ];
}

function costUs({ count, ms }: Sample): number {
  return (ms * 1_000) / count;
}

async function latency(bench: Bench): Promise<Row[]> {
  const count = bench.size(COUNTS.small);
  const process = bench.processOf("becalm");
  // A tenth executes, so this warms up what runs only then.
  await sampleOf(bench, lane("becalm", "storm", bench.size(COUNTS.storm)), "none");
  const found = { p50: [] as number[], p99: [] as number[], rate: [] as number[] };
  for (let round = 1; round <= bench.rounds; round += 1) {
    const peak = await sampleOf(bench, lane("becalm", "storm", count), "none");
    const perSecondNow = count / (peak.ms / 1_000) / 2;
    const { p50, p99 } = await bench.withServer("none", (url) =>
      process.run("decisionLatency", { url, count, perSecond: perSecondNow, logPath: bench.logPath }),
    );
    found.p50.push(p50);
    found.p99.push(p99);
    found.rate.push(perSecondNow);
  }
  const parts = { "p50 ms": median(found.p50), "alerts/s": median(found.rate) };
  return [
    {
      figure: "decision latency at half of the peak rate, p99",
      value: median(found.p99),
      unit: "ms",
      target: atMost(15, 8, 500),
      parts,
    },
  ];
}

async function wakeUp(bench: Bench): Promise<Row[]> {
  const waiters = bench.isQuick ? 150 : 500;
  const found: { p50: number; p99: number }[] = [];
  for (let round = 1; round <= bench.rounds; round += 1) {
    found.push(await bench.withServer("none", (url) => bench.processOf("becalm").run("wakeUp", { url, waiters })));
  }
  const parts = { "p50 ms": median(found.map(({ p50 }) => p50)), waiters };
  return [
    {
      figure: "wake-up of a waiter after its peer's end, p99",
      value: median(found.map(({ p99 }) => p99)),
      unit: "ms",
      target: atMost(20, 5, 200),
      parts,
    },
  ];
}

/** Both processes get alerts of all groups, as behind a load balancer. */
async function twoProcesses(bench: Bench): Promise<Row[]> {
  const count = bench.size(COUNTS.small);
  const ones: number[] = [];
  const twos: number[] = [];
  const request = { work: "storm" as const, total: count, logPath: bench.logPath };
  for (let round = 0; round <= bench.rounds; round += 1) {
    const alone = await bench.withServer("none", (url) =>
      bench.processOf("becalm").run("part", { ...request, url, from: 0, count }),
    );
    const half = count / 2;
    const both = await bench.withServer("none", (url) =>
      Promise.all(
        [0, 1].map((index) =>
          bench
            .processOf(index === 0 ? "becalm" : "second")
            .run("part", { ...request, url, from: index * half, count: half }),
        ),
      ),
    );
    // The first round warms the second process up.
    if (round === 0) continue;
    ones.push((count / alone.ms) * 1_000);
    twos.push((count / Math.max(...both.map(({ ms }) => ms))) * 1_000);
  }
  return [
    ratio(
      "two processes / one, sharing all groups",
      { two: median(twos), one: median(ones) },
      { of: "two", to: "one", target: null },
    ),
  ];
}

async function start(bench: Bench): Promise<Row[]> {
  const { becalmMs, nodeMs } = await startTimes(bench.isQuick ? 5 : 15);
  return [
    {
      figure: "start of `becalm --version` / of `node -e 0`",
      value: becalmMs / nodeMs,
      unit: "x",
      target: atMost(3, 2, 6),
      parts: { "becalm ms": becalmMs, "node ms": nodeMs },
    },
  ];
}

async function million(bench: Bench): Promise<Row[]> {
  const small = [10_000, 10_000, 10_000, 10_000, 10_000];
  const samples = await bench.inOwnProcess((process) =>
    bench.withServer("none", (url) =>
      process.run("warmedUp", { counts: [...small, 1_000_000], url, logPath: bench.logPath }),
    ),
  );
  const large = samples.at(-1) as Sample;
  const before = median(samples.slice(0, -1).map(costUs));
  const cpu = (sample: Sample) => (sample.cpuMs * 1_000) / sample.count;
  const parts = {
    "us at 10,000": before,
    "us at 1,000,000": costUs(large),
    "CPU us at 10,000": median(samples.slice(0, -1).map(cpu)),
    "CPU us at 1,000,000": cpu(large),
  };
  return [
    {
      figure: "Redis: cost per alert at 1,000,000 / at 10,000",
      value: costUs(large) / before,
      unit: "x",
      target: atMost(1.15, 1.05, 2),
      parts,
    },
    {
      figure: "resident memory during 1,000,000 alerts",
      value: large.rssMaxBytes / 1e6,
      unit: "MB",
      target: atMost(300, 200, 600),
      parts: {},
    },
  ];
}

/** Alertmanager keeps nothing durable; without it on this machine the numbers stand alone. */
async function http(bench: Bench): Promise<Row[]> {
  const programs: Program[] = hasAlertmanager() ? ["becalm", "alertmanager"] : ["becalm"];
  const { rounds } = bench;
  const many = await served(programs, { count: bench.size([64_000, 6_400]), size: 64, rounds });
  const single = await served(programs, { count: bench.size([10_000, 2_000]), size: 1, rounds });
  const rates = Object.fromEntries(Object.entries(many).map(([name, { perSecond: rate }]) => [name, rate]));
  const cost = Object.fromEntries(
    Object.entries(many).flatMap(([name, { cpuMicros, clientMicros }]) => [
      [`${name} us of CPU`, cpuMicros],
      [`client of ${name} us`, clientMicros],
    ]),
  );
  const micros = Object.fromEntries(Object.entries(single).map(([name, { cpuMicros }]) => [name, cpuMicros]));
  const half = (rates["becalm"] as number) / 2;
  const { p50Ms, p99Ms } = await latencyAt(half, { size: 64, seconds: 10 });
  const isCompared = programs.length > 1;
  return [
    isCompared
      ? withParts(
          ratio("HTTP, bodies of 64: Becalm (durable) / Alertmanager", rates, {
            of: "becalm",
            to: "alertmanager",
            target: atLeast(0.6, 1, 0.1),
          }),
          cost,
        )
      : { figure: "HTTP, bodies of 64", value: half * 2, unit: "alerts/s", target: null, parts: rates },
    {
      figure: "HTTP, bodies of 1: the server's CPU for an alert",
      value: micros["becalm"] as number,
      unit: "us",
      target: null,
      parts: {
        ...micros,
        ...Object.fromEntries(Object.entries(single).map(([name, { perSecond: rate }]) => [`${name}/s`, rate])),
      },
    },
    {
      figure: "HTTP, bodies of 64 at half of the peak: p99 of the answer",
      value: p99Ms,
      unit: "ms",
      target: atMost(25, 10, 250),
      parts: { "alerts/s": half, "p50 ms": p50Ms, "p99 ms": p99Ms },
    },
  ];
}
