/** A server with an engine on a store, in this process. */

import { createEngine, type Engine, type EngineOptions } from "../../src/engine.ts";
import { loadPolicySet } from "../../src/formats/policy-file.ts";
import { AlertView } from "../../src/server/alertmanager/view.ts";
import type { TokenBook } from "../../src/server/auth/tokens.ts";
import { BodyReader } from "../../src/server/http/request-body.ts";
import { meteredStore } from "../../src/server/metrics/metered-store.ts";
import { Metrics } from "../../src/server/metrics/metrics.ts";
import { storeMeter } from "../../src/server/metrics/store-meter.ts";
import { PolicySource } from "../../src/server/policy-source.ts";
import { type BecalmServer, openServer, waitingNow } from "../../src/server/server.ts";
import { silenceDesk } from "../../src/server/silence-desk.ts";
import { memoryStore } from "../../src/stores/memory/memory-store.ts";
import type { Store } from "../../src/stores/store.ts";
import { silentLogger } from "../../src/system/pino-logger.ts";

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
};

export type ServerWorld = {
  readonly url: string;
  readonly port: number;
  readonly engine: Engine;
  readonly server: BecalmServer;
  readonly metrics: Metrics;
  /** What the policy file says from now on. */
  setPolicies(text: string): void;
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
    waiting: () => waitingNow(engine),
    viewedAlerts: () => view.size,
    heldBodyBytes: () => bodies.heldBytes,
  });
  const store = options.store ?? memoryStore();
  const engine: Engine = createEngine({
    policies: first,
    store: meteredStore(store, storeMeter(metrics, Date.now)),
    ...options.engine,
  });
  const policies: PolicySource = new PolicySource(first, {
    read: async () => loadPolicySet(text, { file: "policies.yaml" }),
    apply: (set) => engine.reload(set),
    logger: silentLogger,
    reloaded: (outcome) => metrics.reloaded(outcome),
  });
  const server = await openServer({
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
    close: async () => {
      await server.close(1_000);
      await engine.stop();
      await store.close();
    },
  };
}
