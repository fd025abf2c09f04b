/** A server with an engine on a store, in this process. */

import type { Strategy } from "../../src/detection/core/strategy.ts";
import type { DetectionStore } from "../../src/detection/detection-store.ts";
import { createEngine, type Engine, type EngineOptions } from "../../src/engine.ts";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import { loadStrategies } from "../../src/formats/strategy-file.ts";
import { AlertView } from "../../src/server/alertmanager/view.ts";
import type { TokenBook } from "../../src/server/auth/tokens.ts";
import { BodyReader } from "../../src/server/http/request-body.ts";
import type { Links } from "../../src/server/links/links.ts";
import { meteredStore } from "../../src/server/metrics/metered-store.ts";
import { Metrics } from "../../src/server/metrics/metrics.ts";
import { storeMeter } from "../../src/server/metrics/store-meter.ts";
import { waitingNow } from "../../src/server/metrics/waiting.ts";
import { PolicySource } from "../../src/server/policy-source.ts";
import { RecordStreams } from "../../src/server/records/record-streams.ts";
import { type BecalmServer, openServer } from "../../src/server/server.ts";
import { silenceDesk } from "../../src/server/silence-desk.ts";
import { memoryDetectionStore } from "../../src/stores/memory/memory-detection-store.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { commitIds } from "../../src/system/commit-ids.ts";
import { silentLogger } from "../../src/system/logger.ts";
import { pause } from "../../src/system/system-clock.ts";
import { lateCalls } from "./lateness.ts";

export type ServerWorldOptions = {
  readonly policies?: string;
  readonly store?: Store;
  readonly tokens?: TokenBook;
  readonly host?: string;
  readonly origins?: readonly string[];
  readonly bodyBytesMax?: number;
  readonly heldBytesMax?: number;
  readonly requestMsMax?: number;
  readonly engine?: Partial<EngineOptions>;
  /** Makes it hand out links. */
  readonly links?: Links;
  /** Makes it take metric records. */
  readonly strategies?: string;
  /** The detection stream `default`. */
  readonly detectionStore?: DetectionStore;
};

export type ServerWorld = {
  readonly url: string;
  readonly port: number;
  readonly engine: Engine;
  readonly server: BecalmServer;
  readonly metrics: Metrics;
  /** What the policy file says from now on. */
  setPolicies(text: string): void;
  setStrategies(text: string): void;
  close(): Promise<void>;
};

export const EVERY_ALERT = "policies:\n  - { name: default, match: [], action: { log: {} } }\n";

export async function serverWorld(options: ServerWorldOptions = {}): Promise<ServerWorld> {
  let text = options.policies ?? EVERY_ALERT;
  const first = loadPolicySet(text, { file: "policies.yaml" });
  const bytesMax = options.bodyBytesMax ?? 32 * 1_024 * 1_024;
  const bodies = new BodyReader({ bodyBytesMax: bytesMax, heldBytesMax: options.heldBytesMax ?? 2 * bytesMax });
  const view = new AlertView();
  const metrics = new Metrics({
    version: "0.0.0",
    now: Date.now,
    functionOf: () => "none",
    waiting: () => waitingNow(engine, store),
    viewedAlerts: () => view.size,
    heldBodyBytes: () => bodies.heldBytes,
    status: () => engine.status(),
  });
  const store = lateCalls(options.store ?? memoryStore());
  const engine: Engine = createEngine({
    policies: first,
    store: meteredStore(store, storeMeter(metrics, Date.now)),
    ...(options.links === undefined ? {} : { urls: options.links }),
    ...options.engine,
  });
  let nextStrategies = strategiesOf(options.strategies);
  const records = recordStreams(nextStrategies, lateCalls(options.detectionStore ?? memoryDetectionStore()));
  const policies: PolicySource = new PolicySource(first, {
    read: async () => ({ policies: loadPolicySet(text, { file: "policies.yaml" }), strategies: nextStrategies }),
    apply: async ({ policies: set, strategies }) => {
      await engine.reload(set);
      if (strategies !== null) await records?.reload(strategies);
    },
    logger: silentLogger,
    reloaded: (outcome) => metrics.reloaded(outcome),
  });
  const server: BecalmServer = await openServer({
    records,
    engine,
    store,
    policies,
    metrics,
    view,
    silences: silenceDesk(engine),
    bodies,
    address: { host: options.host ?? "127.0.0.1", port: 0 },
    tokens: options.tokens ?? null,
    origins: options.origins ?? [],
    links: options.links ?? null,
    tls: null,
    logger: silentLogger,
    now: Date.now,
    version: "0.0.0",
    ...(options.requestMsMax === undefined ? {} : { requestMsMax: options.requestMsMax }),
  });
  await engine.start();
  server.ready();
  const { port } = new URL(server.url);
  return {
    url: `http://127.0.0.1:${port}`,
    port: Number(port),
    engine,
    server,
    metrics,
    setPolicies: (given) => {
      text = given;
    },
    setStrategies: (given) => {
      nextStrategies = loadStrategies(given, { file: "strategies.yaml" });
    },
    close: async () => {
      await server.close(1_000);
      await engine.stop();
      await store.close();
    },
  };
}

function strategiesOf(text: string | undefined): readonly Strategy[] | null {
  return text === undefined ? null : loadStrategies(text, { file: "strategies.yaml" });
}

function recordStreams(strategies: readonly Strategy[] | null, store: DetectionStore): RecordStreams | null {
  if (strategies === null) return null;
  const world = { store, now: Date.now, commitId: commitIds(), pause, random: Math.random };
  return new RecordStreams({ names: ["default"], strategies, portsOf: () => ({ world }), logger: silentLogger });
}
