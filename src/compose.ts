/**
 * The composition root: options in, an immutable runtime out, and what drives it. Adapters meet the runtime here and
 * nowhere else.
 *
 * `compose` opens a namespace. `driveLive` moves it as an engine does, `driveVirtual` as `becalm run` does, `driveOnce`
 * as a command does that sends something. Whoever only looks needs no driver.
 */
import { randomUUID } from "node:crypto";
import { hostname } from "node:os";
import { NO_GRACE } from "./model/episode.ts";
import { RESOLVE_TIMEOUT_MS } from "./model/limits.ts";
import { SpeculativeGroups } from "./runtime/commit/speculative-groups.ts";
import { StoredGroups } from "./runtime/commit/stored-groups.ts";
import { commandIdOf, type DecidingProcess, enrol, processIdOf } from "./runtime/deciding-process.ts";
import { Receipts } from "./runtime/inbox/receipts.ts";
import { InstanceService } from "./runtime/instance-service.ts";
import { type OpenOptions, openNamespace } from "./runtime/namespace.ts";
import type { Driver, Runtime } from "./runtime/runtime.ts";
import { SilenceService } from "./runtime/silences/stored-silences.ts";
import { PauseService } from "./runtime/stops/pause-service.ts";
import { LiveDriver, type LiveOptions } from "./runtime/workers/live-driver.ts";
import { OneShotDriver, type OneShotOptions } from "./runtime/workers/one-shot-driver.ts";
import { type VirtualOptions, VirtualRun } from "./simulate/virtual-run.ts";
import type { Clock } from "./system/clock.ts";
import { commitIds } from "./system/commit-ids.ts";
import { pause, systemClock } from "./system/system-clock.ts";

/**
 * `clock`: default the system's. `decides`: something is decided with it, by an engine or a worker, or by a command of
 * this name.
 */
export type ComposeOptions = OpenOptions & {
  readonly clock?: Clock | undefined;
  readonly decides?: "process" | `becalm ${string}` | undefined;
};

/** Opens the namespace, made if need be. Rejects as `openNamespace` does. */
export async function compose({ clock = systemClock(), decides, ...options }: ComposeOptions): Promise<Runtime> {
  const opened = await openNamespace(options);
  const wholeClock = wholeMs(clock);
  const isLive = opened.mode === "live";
  const leaseGrace = isLive ? { leasesHoldUntilMs: wholeClock.now() + RESOLVE_TIMEOUT_MS } : NO_GRACE;
  const namespace = { ...opened, leaseGrace };
  // In the audit, too: so that people find the logs of a process whose names the store no longer keeps.
  const owner = `${randomUUID().slice(0, 8)}:${processName().replaceAll(/[^\w.:-]/g, "-")}`;
  const { store, mode, partitions } = opened;
  // In virtual time the same file gives the same bytes, whoever runs it.
  const isNamed = decides !== undefined && isLive && store.processes !== null;
  const decider = isNamed ? decidingProcess(decides, owner, wholeClock.now()) : null;
  // Once more, as one who writes: with the rights and the server that this needs.
  if (decides !== undefined && isLive && options.mode === undefined) await store.open({ mode, partitions });
  if (decider !== null && store.processes !== null) await enrol(store.processes, decider);
  return Object.freeze({
    ...namespace,
    clock: wholeClock,
    owner,
    process: decider,
    groups: isLive ? new SpeculativeGroups(namespace) : new StoredGroups(namespace),
    commitId: commitIds(),
    pause,
    realTime: systemClock(),
    random: Math.random,
  });
}

function decidingProcess(decides: string, owner: string, sinceMs: number): DecidingProcess {
  if (decides === "process") return { id: processIdOf(owner), name: processName(), sinceMs };
  const name = `${decides} on ${hostname()}`;
  return { id: commandIdOf(name), name, sinceMs };
}

/** For people. */
function processName(): string {
  return `${hostname()}:${process.pid}`;
}

/** Times are stored as whole milliseconds, whatever a program's clock counts in. */
function wholeMs(clock: Clock): Clock {
  return { now: () => Math.floor(clock.now()), schedule: (delayMs, fn) => clock.schedule(delayMs, fn) };
}

/** A driver, and the verbs on instances, and on all of them, that it commits. */
export type Driven<D> = {
  readonly driver: D;
  readonly instances: InstanceService;
  readonly pauses: PauseService;
  readonly silences: SilenceService;
};

export function driveLive(
  runtime: Runtime,
  options: Omit<LiveOptions, "processName">,
): Driven<LiveDriver> & { readonly receipts: Receipts } {
  const driver = new LiveDriver(runtime, { ...options, processName: processName() });
  const instances = new InstanceService(runtime, driver, () => runtime.clock.now());
  const { pauses, silences } = driver;
  return { driver, instances, pauses, silences, receipts: new Receipts(runtime.store, options.retentionMs) };
}

export function driveOnce(runtime: Runtime, options: OneShotOptions): Driven<OneShotDriver> {
  const driver = new OneShotDriver(runtime, options);
  return driven(runtime, driver, () => runtime.clock.now());
}

/** What is sent is dated where the run stands. */
export function driveVirtual(runtime: Runtime, options: VirtualOptions): Driven<VirtualRun> {
  const driver = new VirtualRun(runtime, options);
  return driven(runtime, driver, () => driver.nowMs);
}

/** `now`: dates what is sent. */
function driven<D extends Driver>(runtime: Runtime, driver: D, now: () => number): Driven<D> {
  const instances = new InstanceService(runtime, driver, now);
  const pauses = new PauseService(runtime, driver, now);
  return { driver, instances, pauses, silences: new SilenceService(runtime, driver, now) };
}
