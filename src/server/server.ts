/** The server: an engine behind HTTP. Everything that a request may reach is put together here, and nowhere else. */
import { compose } from "../compose.ts";
import type { Engine } from "../engine.ts";
import { InstanceReader } from "../runtime/instance-reader.ts";
import type { Store } from "../stores/store.ts";
import type { Logger } from "../system/logger.ts";
import { restoreView } from "./alertmanager/restored-view.ts";
import { alertmanagerRoutes, type SilenceDesk } from "./alertmanager/routes.ts";
import type { AlertView } from "./alertmanager/view.ts";
import { createApp } from "./app.ts";
import { authenticate } from "./auth/access.ts";
import type { TokenBook } from "./auth/tokens.ts";
import { candidateRoutes } from "./candidates/candidate-routes.ts";
import { AnswerLog } from "./console/answer-log.ts";
import { consoleFiles } from "./console/console-files.ts";
import { consoleRoutes } from "./console/console-routes.ts";
import { restoreStorm } from "./console/restored-storm.ts";
import { StormView } from "./console/storm-view.ts";
import { isLoopback, type ListenAddress, urlHost } from "./http/listen-address.ts";
import { Listener, type TlsIdentity } from "./http/listener.ts";
import { openApi } from "./http/openapi.ts";
import type { BodyReader } from "./http/request-body.ts";
import type { Ctx, Route } from "./http/route.ts";
import { IngestGate } from "./ingest-gate.ts";
import { alertRoutes } from "./instances/alert-routes.ts";
import { deadLetterRoutes } from "./instances/dead-letter-routes.ts";
import { EventStream, eventRoutes } from "./instances/event-stream.ts";
import { groupRoutes } from "./instances/group-routes.ts";
import { instanceRoutes } from "./instances/instance-routes.ts";
import { pauseRoutes } from "./instances/pause-routes.ts";
import { policyRoutes } from "./instances/policy-routes.ts";
import type { InstancePorts } from "./instances/ports.ts";
import { readRoutes } from "./instances/read-routes.ts";
import { answerRoutes } from "./links/answer-routes.ts";
import { callbackRoutes } from "./links/callback-routes.ts";
import type { Links } from "./links/links.ts";
import type { Metrics } from "./metrics/metrics.ts";
import { recordMeter } from "./metrics/record-meter.ts";
import { shadowMeter } from "./metrics/shadow-meter.ts";
import { viewerMeter } from "./metrics/viewer-meter.ts";
import { type OperationPorts, operationRoutes } from "./operation-routes.ts";
import type { PolicySource } from "./policy-source.ts";
import { recordRoutes } from "./records/record-routes.ts";
import type { RecordStreams } from "./records/record-streams.ts";
import { shadowRoutes } from "./shadow/shadow-routes.ts";
import { ShadowWatch } from "./shadow/shadow-watch.ts";

export type ServerOptions = {
  readonly engine: Engine;
  /** The engine's own, for those who look. */
  readonly store: Store;
  readonly policies: Pick<PolicySource, "compiled" | "reload">;
  readonly metrics: Metrics;
  readonly view: AlertView;
  readonly silences: SilenceDesk;
  /** null: it takes no metric records. */
  readonly records: RecordStreams | null;
  readonly bodies: BodyReader;
  readonly address: ListenAddress;
  readonly tokens: TokenBook | null;
  readonly origins: readonly string[];
  /** null: nobody has said how people reach this server, so it hands out no links. */
  readonly links: Links | null;
  readonly tls: TlsIdentity | null;
  readonly logger: Logger;
  readonly now: () => number;
  readonly version: string;
  /** How long a client has for a whole request. */
  readonly requestMsMax?: number;
};

export type BecalmServer = {
  readonly url: string;
  /** `/-/ready` answers 200 from now on, and detected alerts that were left go to the engine. */
  ready(): void;
  /** Shows a renewed certificate to those who connect from now on. */
  renewTls(identity: TlsIdentity): void;
  /** Takes no new connection, lets the requests under way end, and closes the streams of records. */
  close(drainMs: number): Promise<void>;
};

type Phase = "starting" | "ready" | "draining";

export async function openServer(options: ServerOptions): Promise<BecalmServer> {
  const { engine, metrics, address, tls, tokens, links, logger } = options;
  let phase: Phase = "starting";
  const stream = new EventStream();
  viewerMeter(metrics.registry, stream);
  const storm = new StormView(options.now);
  const answers = new AnswerLog();
  const ends = [
    engine.subscribe((steps) => metrics.stepped(steps)),
    engine.subscribe((steps) => stream.publish(steps)),
    engine.subscribe((steps) => storm.stepped(steps)),
    ...watchShadow(options),
    engine.subscribe((steps) => answers.stepped(steps)),
  ];
  const reader = readerOf(options);
  const routes = routesOf(options, {
    stream,
    storm,
    answers,
    reader,
    notReady: (c) => (phase === "ready" ? refusalText(options, c) : `the server is ${phase}`),
  });
  const app = createApp({
    access: {
      tokens,
      isLoopbackOnly: isLoopback(address.host),
      isTls: tls !== null,
      origins: links === null ? options.origins : [...options.origins, links.origin],
      signedHost: links?.host ?? null,
    },
    routes,
    logger,
    isDraining: () => phase === "draining",
    answered: (request) => metrics.answered(request),
  });
  const listener = await Listener.open({
    address,
    tls,
    fetch: (request, env) => app.fetch(request, env as Record<string, never>),
    ...(options.requestMsMax === undefined ? {} : { requestMsMax: options.requestMsMax }),
  });
  return {
    url: `${tls === null ? "http" : "https"}://${urlHost(address.host ?? "0.0.0.0")}:${listener.port}`,
    ready: () => {
      phase = "ready";
      options.records?.start();
      void fillView(options);
      void fillStorm(options, { storm, answers, reader });
    },
    renewTls: (identity) => listener.renewTls(identity),
    close: async (drainMs) => {
      phase = "draining";
      stream.close();
      for (const end of ends) end();
      await listener.close(drainMs);
      await options.records?.close();
    },
  };
}

/** Everybody may ask whether alerts are taken. Where the store is only those are told who may read. */
function refusalText({ engine, tokens }: ServerOptions, { env }: Ctx): string | null {
  const { refusal } = engine.status();
  if (refusal === null) return null;
  const isReader = !("status" in authenticate({ tokens }, env.incoming.headers, "read"));
  const why = isReader
    ? refusal.message
    : "Its log and `becalm doctor` say why and what to do, and so does this page to those who send a token.";
  return `alerts are refused (${refusal.code}): ${why}`;
}

/** Only where there is a shadow. */
function watchShadow({ engine, metrics, logger }: ServerOptions): (() => void)[] {
  if (engine.status().shadow === undefined) return [];
  const looked = shadowMeter(metrics.registry, () => engine.status().shadow);
  const watch = new ShadowWatch({ engine, logger, looked });
  return [() => watch.close()];
}

/** What fires as the store knows it. Who looks before it is done sees a part of it. */
async function fillView({ store, view, logger }: ServerOptions): Promise<void> {
  try {
    const restored = await restoreView(view, await compose({ store }));
    if (restored > 0) logger.info({ alerts: restored }, "the view shows the alerts that the store records as firing");
  } catch (error) {
    logger.warn({ err: error }, "the view could not be filled from the store; it fills as alerts are sent again");
  }
}

async function fillStorm(
  { now, logger }: ServerOptions,
  { reader, ...views }: Pick<Own, "storm" | "answers" | "reader">,
) {
  try {
    await restoreStorm(views, await reader(), now());
  } catch (error) {
    logger.warn({ err: error }, "the console's groups could not be read from the store; it shows those that come");
  }
}

type Own = {
  readonly stream: EventStream;
  readonly storm: StormView;
  readonly answers: AnswerLog;
  readonly reader: InstancePorts["reader"];
  readonly notReady: OperationPorts["notReady"];
};

function routesOf(options: ServerOptions, { stream, storm, answers, reader, notReady }: Own): Route[] {
  const { engine, policies, metrics, view, silences, records, bodies, now, version } = options;
  const { ingest } = new IngestGate(engine, { metrics, now, received: (count) => storm.received(count) });
  records?.connect({ ingest, view, meter: recordMeter(metrics), now });
  const ports: InstancePorts = {
    engine,
    reader,
    policies: () => policies.compiled,
    bodies,
    now,
  };
  const about = { version, startedAtMs: now() };
  const routes: Route[] = [
    ...alertmanagerRoutes({ ingest, policies: ports.policies, view, silences, bodies, now, about }),
    ...alertRoutes({ ...ports, ingest, view }),
    ...recordRoutes({ streams: records, bodies }),
    ...instanceRoutes(ports),
    ...groupRoutes(ports),
    ...policyRoutes(ports),
    ...pauseRoutes(ports),
    ...deadLetterRoutes(ports),
    ...candidateRoutes({ store: options.store, bodies, now }),
    ...shadowRoutes({ engine, now }),
    ...eventRoutes(stream),
    ...signedRoutes(options),
    ...consoleRoutes(ports, { storm, answers }),
    ...consoleFiles(),
    ...readRoutes({ store: options.store, bodies }),
  ];
  let description: object | null = null;
  routes.push(
    ...operationRoutes({
      notReady,
      metrics: () => metrics.read(),
      reload: () => policies.reload(),
      openApi: () => {
        description ??= openApi(routes, { version });
        return description;
      },
    }),
  );
  return routes;
}

/** Opened when somebody looks first. The engine comes before it: it makes the namespace. */
function readerOf({ engine, store }: ServerOptions): InstancePorts["reader"] {
  let opening: Promise<InstanceReader> | null = null;
  const open = async () => {
    await engine.pauses();
    return new InstanceReader(await compose({ store }));
  };
  return () => {
    opening ??= open().catch((error: unknown) => {
      opening = null;
      throw error;
    });
    return opening;
  };
}

/** They exist where links are handed out. */
function signedRoutes({ engine, links, tokens, bodies, now }: ServerOptions): Route[] {
  if (links === null) return [];
  return [...answerRoutes({ engine, links, tokens, bodies, now }), ...callbackRoutes({ engine, links, bodies, now })];
}
