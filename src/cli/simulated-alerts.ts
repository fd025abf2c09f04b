/** Alerts through a set of policies, simulated in memory: nothing outside is touched and nothing is kept. */

import type { PolicySet } from "../policy/policy.ts";
import { type FileSummary, type InstanceLine, reportFile } from "../simulate/instance-rows.ts";
import { CONCURRENCY_DEFAULT } from "./option-limits.ts";
import { readLines } from "./read-text.ts";
import { type Taken, takeLines } from "./take-lines.ts";
import { type RunEffects, type Running, SIMULATED, withVirtualRun } from "./with-namespace.ts";

/** Takes its alerts through a run, and says what they were. */
export type AlertSource = (run: Running["run"], report: SourceReport) => Promise<Taken>;

export type SourceReport = { readonly onRejected: (what: string) => void; readonly onTaken: (taken: Taken) => void };

export type Simulation = {
  readonly policies: PolicySet;
  readonly alerts: AlertSource;
  readonly effects?: RunEffects;
  readonly report: SourceReport;
  readonly onRow: (row: InstanceLine) => Promise<void> | void;
};

export async function simulate(options: Simulation): Promise<{ summary: FileSummary; warnings: readonly string[] }> {
  const { policies, alerts, effects = SIMULATED, report, onRow } = options;
  const running = { namespace: "simulation", policies, effects, concurrency: CONCURRENCY_DEFAULT };
  return withVirtualRun(running, async ({ instances, run }) => {
    const taken = await alerts(run, report);
    await run.finish();
    const summary = await reportFile(instances, taken, {
      onLine: async (row) => onRow(row),
      // A fresh namespace in memory has nothing that cannot be read.
      onQuarantined: (error) => {
        throw error;
      },
    });
    return { summary, warnings: taken.warnings };
  });
}

/** Alerts of files, one after the other; time goes on from file to file. */
export function alertsOfFiles(files: readonly string[], isSorted: boolean): AlertSource {
  return async (run, { onRejected, onTaken }) => {
    let all: Taken | null = null;
    for (const file of files) {
      const label = file === "-" ? "stdin" : file;
      const before: Taken | null = all;
      const taken = await takeLines({
        lines: readLines(file),
        run,
        label,
        isSorted,
        fromMs: before?.reachedMs ?? null,
        onRejected: (what) => onRejected(`${label}: ${what}`),
        onLine: onTaken,
        isStopped: () => false,
      });
      all = joined(before, { ...taken, warnings: taken.warnings.map((text) => `${label}: ${text}`) });
    }
    return all as Taken;
  };
}

function joined(a: Taken | null, b: Taken): Taken {
  if (a === null) return b;
  return {
    ids: new Set([...a.ids, ...b.ids]),
    lines: a.lines + b.lines,
    alerts: a.alerts + b.alerts,
    rejected: a.rejected + b.rejected,
    unmatched: a.unmatched + b.unmatched,
    created: a.created + b.created,
    duplicates: a.duplicates + b.duplicates,
    resolved: a.resolved + b.resolved,
    late: a.late + b.late,
    truncated: a.truncated + b.truncated,
    warnings: [...a.warnings, ...b.warnings],
    reachedMs: b.reachedMs ?? a.reachedMs,
  };
}
