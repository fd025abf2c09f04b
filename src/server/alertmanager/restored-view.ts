/**
 * Fills the view after a start with the alerts whose episodes the store records as open, so that amtool, karma and
 * Grafana see what fires before it is sent again. A re-sending that comes meanwhile is newer, and stays.
 */
import { birthOf } from "../../instance/audit.ts";
import type { Instance } from "../../instance/checkpoint.ts";
import { leaseEndMs } from "../../model/episode.ts";
import { lastEpisode } from "../../model/episode-record.ts";
import { BecalmError } from "../../model/errors.ts";
import { tryInstance } from "../../runtime/commit/read-instance.ts";
import { lastRecordOf } from "../../runtime/instance-episode.ts";
import type { Runtime } from "../../runtime/runtime.ts";
import type { AlertView, Sighting } from "./view.ts";

/** The newest instances; what is older comes when it is sent again. */
const LOOKED_AT_COUNT_MAX = 10_000;
const PAGE_COUNT = 200;

/** Gives how many alerts it has put there. */
export async function restoreView(view: AlertView, runtime: Runtime): Promise<number> {
  let restored = 0;
  let cursor: string | null = "";
  for (let looked = 0; cursor !== null && looked < LOOKED_AT_COUNT_MAX; looked += PAGE_COUNT) {
    const page = await runtime.store.list({ limit: PAGE_COUNT, ...(cursor === "" ? {} : { cursor }) });
    const read = await Promise.all(page.instances.map((stored) => tryInstance(runtime, stored)));
    const sightings = await Promise.all(
      read.map(async (instance) => (instance instanceof BecalmError ? null : sightingOf(runtime, instance))),
    );
    const nowMs = runtime.clock.now();
    for (const sighting of sightings) if (sighting !== null && view.putIfMissing(sighting, nowMs)) restored += 1;
    cursor = page.next;
  }
  return restored;
}

/** null: its alert fires no longer, or it was not made by one. */
async function sightingOf(runtime: Runtime, instance: Instance): Promise<Sighting | null> {
  const record = await lastRecordOf(runtime, instance);
  if (record === null) return null;
  const episode = lastEpisode(record.value);
  const endsAtMs = leaseEndMs(episode, runtime.leaseGrace);
  if (episode.end !== null || (endsAtMs !== null && endsAtMs <= runtime.clock.now())) return null;
  const lines = await runtime.store.history(instance.id);
  const alert = lines === null ? null : birthOf(instance.id, lines).alert;
  if (alert === null) return null;
  const { labels, annotations, startsAtMs, generatorURL } = alert;
  return { labels, annotations, startsAtMs, endsAtMs, generatorURL };
}
