/** What a run of the harness does to real processes. Scenarios are data; the seed chooses among what they allow. */
import type { DeploymentKind } from "./deployment.ts";

export type FaultKind =
  | "kill an engine"
  | "kill a worker"
  | "stop a worker"
  | "flush the queue"
  | "stop an engine"
  | "move a clock"
  | "cut connections"
  | "swallow a reply"
  | "stall the network"
  | "partition"
  | "forget scripts"
  | "fill the memory"
  | "restart the server"
  | "kill the master"
  | "stop the master"
  | "move a slot"
  | "change the policies"
  | "reach a point";

/** How often, and for how long where that means something. */
export type PlannedFault = { readonly kind: FaultKind; readonly everyMs: number; readonly forMs?: readonly number[] };

export type ChaosScenario = {
  readonly name: string;
  readonly deployment: DeploymentKind;
  /** Processes that take alerts. */
  readonly engines: number;
  /** How many of them are `becalm serve`, which is sent its alerts over HTTP. */
  readonly servers: number;
  /** Processes that run the attempts, through BullMQ; 0: the engines do. */
  readonly workers: number;
  readonly seconds: number;
  readonly alertsPerSecond: number;
  readonly faults: readonly PlannedFault[];
  /** A failover may lose what its master had not handed on: what is lost is counted, and no violation. */
  readonly mayLose: boolean;
  /** How long nothing may move before everything is at rest. */
  readonly stillMsMax: number;
  /** The target takes up to so long. */
  readonly targetMsMax: number;
  /** Nobody dies, so no attempt comes twice. */
  readonly isDeliveredOnce: boolean;
  /** The engines do not know of each other, and their lock keeps nobody out: each decides what it gets, and they race. */
  readonly isRace?: boolean;
};

type Rough = Omit<ChaosScenario, "isDeliveredOnce" | "targetMsMax" | "stillMsMax" | "servers" | "workers"> & {
  readonly servers?: number;
  readonly workers?: number;
};

/** Nothing goes wrong. */
const quiet: ChaosScenario = {
  name: "quiet",
  deployment: "server",
  engines: 3,
  servers: 0,
  workers: 0,
  seconds: 5,
  alertsPerSecond: 60,
  faults: [],
  mayLose: false,
  stillMsMax: 15_000,
  targetMsMax: 1_500,
  isDeliveredOnce: true,
};

/** Owners and a lock keep engines out of each other's way; what keeps them right is shown without. */
const race: ChaosScenario = { ...quiet, name: "race", alertsPerSecond: 240, stillMsMax: 6_000, isRace: true };

const ROUGH: readonly Rough[] = [
  {
    name: "short",
    deployment: "server",
    engines: 2,
    seconds: 12,
    alertsPerSecond: 20,
    faults: [
      { kind: "kill an engine", everyMs: 3_000 },
      { kind: "swallow a reply", everyMs: 700 },
      { kind: "cut connections", everyMs: 2_500 },
      { kind: "forget scripts", everyMs: 1_500 },
    ],
    mayLose: false,
  },
  {
    name: "killed servers",
    deployment: "server",
    engines: 4,
    servers: 3,
    seconds: 45,
    alertsPerSecond: 30,
    faults: [
      { kind: "kill an engine", everyMs: 3_000 },
      { kind: "swallow a reply", everyMs: 1_500 },
      { kind: "stop an engine", everyMs: 11_000, forMs: [500, 9_000] },
    ],
    mayLose: false,
  },
  {
    name: "killed engines",
    deployment: "server",
    engines: 8,
    seconds: 60,
    alertsPerSecond: 50,
    faults: [{ kind: "kill an engine", everyMs: 1_000 }],
    mayLose: false,
  },
  {
    // By command for ten minutes: --seconds 600.
    name: "workers",
    deployment: "server",
    engines: 4,
    workers: 2,
    seconds: 60,
    alertsPerSecond: 40,
    faults: [
      { kind: "kill an engine", everyMs: 5_000 },
      { kind: "kill a worker", everyMs: 7_000 },
      { kind: "stop a worker", everyMs: 19_000, forMs: [500, 12_000] },
      { kind: "flush the queue", everyMs: 3_000 },
      { kind: "swallow a reply", everyMs: 1_500 },
      { kind: "cut connections", everyMs: 11_000 },
    ],
    mayLose: false,
  },
  {
    name: "stopped engines",
    deployment: "server",
    engines: 3,
    seconds: 60,
    alertsPerSecond: 30,
    // Half, one and a half, and five times the claim on an attempt (8 s).
    faults: [{ kind: "stop an engine", everyMs: 6_000, forMs: [4_000, 12_000, 40_000] }],
    mayLose: false,
  },
  {
    name: "bad network",
    deployment: "limited user",
    engines: 3,
    seconds: 45,
    alertsPerSecond: 30,
    faults: [
      { kind: "swallow a reply", everyMs: 500 },
      { kind: "cut connections", everyMs: 4_000 },
      { kind: "stall the network", everyMs: 9_000, forMs: [500, 3_000, 6_500] },
      { kind: "partition", everyMs: 11_000, forMs: [500, 3_000] },
      { kind: "forget scripts", everyMs: 2_000 },
      { kind: "move a clock", everyMs: 5_000, forMs: [-800, 400, 800] },
      { kind: "change the policies", everyMs: 15_000 },
    ],
    mayLose: false,
  },
  {
    name: "restarted server",
    deployment: "server",
    engines: 2,
    seconds: 45,
    alertsPerSecond: 30,
    faults: [
      { kind: "restart the server", everyMs: 12_000, forMs: [200, 3_000] },
      { kind: "fill the memory", everyMs: 9_000, forMs: [1_000] },
      { kind: "kill an engine", everyMs: 5_000 },
    ],
    mayLose: false,
  },
  {
    name: "cluster",
    deployment: "cluster",
    engines: 2,
    seconds: 60,
    alertsPerSecond: 30,
    faults: [
      { kind: "kill the master", everyMs: 25_000 },
      { kind: "kill an engine", everyMs: 7_000 },
    ],
    mayLose: true,
  },
  {
    // Each commit waits for a replica: a failover loses nothing that was acknowledged.
    name: "replicated cluster",
    deployment: "replicated cluster",
    engines: 2,
    seconds: 60,
    alertsPerSecond: 30,
    faults: [
      { kind: "kill the master", everyMs: 25_000 },
      { kind: "kill an engine", everyMs: 7_000 },
    ],
    mayLose: false,
  },
  {
    name: "replicated sentinel",
    deployment: "replicated sentinel",
    engines: 2,
    seconds: 60,
    alertsPerSecond: 30,
    faults: [{ kind: "kill the master", everyMs: 25_000 }],
    mayLose: false,
  },
  {
    name: "stopped master",
    deployment: "cluster",
    engines: 2,
    seconds: 45,
    alertsPerSecond: 30,
    faults: [{ kind: "stop the master", everyMs: 20_000, forMs: [10_000] }],
    mayLose: true,
  },
  {
    // Every named point is reached, by one that is killed there and by one that is stopped.
    name: "named points",
    deployment: "server",
    engines: 4,
    seconds: 150,
    alertsPerSecond: 30,
    faults: [{ kind: "reach a point", everyMs: 100, forMs: [500, 4_000, 10_000] }],
    mayLose: false,
  },
  {
    name: "lmdb",
    deployment: "lmdb",
    engines: 1,
    servers: 1,
    seconds: 45,
    alertsPerSecond: 40,
    faults: [
      { kind: "kill an engine", everyMs: 3_000 },
      { kind: "stop an engine", everyMs: 10_000, forMs: [500, 3_000] },
    ],
    mayLose: false,
  },
  {
    name: "named points of lmdb",
    deployment: "lmdb",
    engines: 1,
    seconds: 120,
    alertsPerSecond: 30,
    faults: [{ kind: "reach a point", everyMs: 100, forMs: [300, 1_500] }],
    mayLose: false,
  },
  {
    name: "moved slots",
    deployment: "cluster",
    engines: 2,
    seconds: 40,
    alertsPerSecond: 30,
    faults: [{ kind: "move a slot", everyMs: 1_500 }],
    mayLose: false,
  },
  {
    name: "sentinel",
    deployment: "sentinel",
    engines: 2,
    seconds: 60,
    alertsPerSecond: 30,
    faults: [
      { kind: "kill the master", everyMs: 25_000 },
      { kind: "kill an engine", everyMs: 7_000 },
    ],
    mayLose: true,
  },
];

export const CHAOS_SCENARIOS: readonly ChaosScenario[] = [
  quiet,
  race,
  ...ROUGH.map((scenario) => ({
    servers: 0,
    workers: 0,
    ...scenario,
    stillMsMax: 90_000,
    targetMsMax: 80,
    isDeliveredOnce: false,
  })),
];

export function chaosScenarioNamed(name: string): ChaosScenario {
  const found = CHAOS_SCENARIOS.find((scenario) => scenario.name === name);
  if (found !== undefined) return found;
  throw new Error(`Unknown scenario "${name}". Choose one of: ${CHAOS_SCENARIOS.map((one) => one.name).join(", ")}.`);
}
