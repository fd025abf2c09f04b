/** Spans sent by OTLP, as the standard variables of OpenTelemetry say, if its SDK is installed beside Becalm. */
import { isTracing } from "../system/tracing.ts";

const SDK = "@opentelemetry/sdk-node";
const WANTED_BY = ["OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_TRACES_EXPORTER"];

type Sdk = { start(): void; shutdown(): Promise<void> };

/**
 * Gives what sends the last spans and ends it. A provider that somebody has registered already (`node --import`) stays.
 */
export async function startTracing(
  env: Record<string, string | undefined>,
  note: (text: string) => void,
): Promise<() => Promise<void>> {
  const wanted = WANTED_BY.find((name) => (env[name] ?? "") !== "" && env[name] !== "none");
  if (wanted === undefined || env["OTEL_SDK_DISABLED"] === "true" || isTracing()) return async () => {};
  const loaded = (await import(SDK).catch(() => null)) as { NodeSDK: new () => Sdk } | null;
  if (loaded === null) {
    note(`becalm: ${wanted} is set, but no spans are sent: install ${SDK} beside becalm (npm install ${SDK}).`);
    return async () => {};
  }
  env["OTEL_SERVICE_NAME"] ??= "becalm";
  const sdk = new loaded.NodeSDK();
  sdk.start();
  return () => sdk.shutdown().catch(() => {});
}
