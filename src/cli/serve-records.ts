/** The detection streams of `becalm serve`, in the store that its instances are in. */
import type { Strategy } from "../detection/core/strategy.ts";
import { RecordStreams } from "../server/records/record-streams.ts";
import { commitIds } from "../system/commit-ids.ts";
import type { Logger } from "../system/logger.ts";
import { pause } from "../system/system-clock.ts";
import { EnrichmentFile } from "./enrichment-file.ts";
import { detectionStoreAt } from "./with-namespace.ts";

export type StreamsOptions = {
  readonly store: string;
  readonly namespace: string;
  readonly names: readonly string[];
  readonly strategies: readonly Strategy[];
  /** A CSV file with labels. */
  readonly enrich: string | undefined;
  readonly logger: Logger;
};

export async function openStreams(options: StreamsOptions): Promise<RecordStreams> {
  const { store, namespace, strategies, logger } = options;
  const names = [...new Set(options.names)];
  const enrichment = options.enrich === undefined ? null : await EnrichmentFile.open(options.enrich);
  const stores = await Promise.all(names.map((stream) => detectionStoreAt({ store, namespace, stream })));
  const portsOf = (name: string) => ({
    world: {
      store: stores[names.indexOf(name)] as (typeof stores)[number],
      now: Date.now,
      commitId: commitIds(),
      pause,
      random: Math.random,
      ...(enrichment === null ? {} : { enrich: enrichment.labelsOf }),
    },
    refresh: enrichment === null ? undefined : () => enrichment.reloadIfChanged(),
  });
  return new RecordStreams({ names, strategies, portsOf, logger });
}
