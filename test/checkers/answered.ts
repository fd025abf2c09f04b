/** Every call answers within its deadline, faults are told in few lines, and enough happened for the run to show something. */
import type { Violation } from "./recording.ts";
import type { Evidence } from "./trails.ts";

export function answeredInTime({ requests, promises }: Evidence): Violation[] {
  return requests.flatMap(({ atMs, answeredAtMs }) => {
    if (answeredAtMs === null || answeredAtMs - atMs <= promises.answeredWithinMs) return [];
    return [{ checker: "answered in time", what: `a call took ${answeredAtMs - atMs} ms` }];
  });
}

export function fewLines({ faultLines, startedAtMs, endedAtMs, promises }: Evidence): Violation[] {
  const most = Math.ceil(((endedAtMs - startedAtMs) / 1_000) * promises.faultLinesPerSecondMax);
  if (faultLines.length <= most) return [];
  const what = `${faultLines.length} lines about faults, at most ${most} were expected; the last: ${faultLines.at(-1)?.text}`;
  return [{ checker: "few lines", what }];
}

export function enoughHappened({ instances, deliveries, promises }: Evidence): Violation[] {
  const { atLeast } = promises;
  const attempts = new Set(deliveries.map(({ instance, attempt }) => `${instance} ${attempt}`)).size;
  if (instances.length >= atLeast.instances && attempts >= atLeast.attempts) return [];
  const what = `${instances.length} instances and ${attempts} attempts show nothing: at least ${atLeast.instances} and ${atLeast.attempts}`;
  return [{ checker: "enough happened", what }];
}
