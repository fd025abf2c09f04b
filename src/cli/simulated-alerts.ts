/** Alerts through a set of policies, simulated in memory: nothing outside is touched and nothing is kept. */

import type { TextLine } from "../formats/text-lines.ts";
import type { Decision } from "../instance/decide.ts";
import type { PolicySet } from "../policy/policy.ts";
import { ClosedInstances } from "../simulate/closed-instances.ts";
import { type FileSummary, type InstanceLine, type Row, reportFile } from "../simulate/instance-rows.ts";
import { CONCURRENCY_DEFAULT } from "./option-limits.ts";
import { readLines } from "./read-text.ts";
import { RowSpool } from "./row-spool.ts";
import { type Taken, takeLines } from "./take-lines.ts";
import { type RunEffects, type Running, SIMULATED, withVirtualRun } from "./with-namespace.ts";

/** Takes its alerts through a run, and says what they were. */
export type AlertSource = (run: Pick<Running["run"], "line">, report: SourceReport) => Promise<Taken>;

/** `isStopped`: asked after each request; what was taken until then is all. */
export type SourceReport = {
  readonly onRejected: (what: string) => void;
  readonly onTaken: (taken: Taken) => void;
  readonly isStopped?: () => boolean;
};

export type Simulation = {
  readonly policies: PolicySet;
  readonly alerts: AlertSource;
  readonly effects?: RunEffects;
  readonly report: SourceReport;
  readonly onRow: (row: InstanceLine) => Promise<void> | void;
};

export type Simulated = { readonly summary: FileSummary; readonly warnings: readonly string[] };

/** What is over is put away into a file, so that memory grows with what is open. */
export async function simulate(options: Simulation): Promise<Simulated> {
  const rows = new RowSpool<Row>();
  try {
    return await simulateInto(rows, options);
  } finally {
    rows.close();
  }
}

async function simulateInto(rows: RowSpool<Row>, options: Simulation): Promise<Simulated> {
  const { policies, alerts, effects = SIMULATED, report, onRow } = options;
  const closed = new ClosedInstances(rows);
  let reachedMs = 0;
  const running = {
    namespace: "simulation",
    policies,
    effects,
    concurrency: CONCURRENCY_DEFAULT,
    onCommit: (decision: Decision) => closed.committed(decision),
    now: () => reachedMs,
  };
  return withVirtualRun(running, async ({ instances, run }) => {
    const line: typeof run.line = async (receipts, atMs) => {
      reachedMs = atMs;
      const outcome = await run.line(receipts, atMs);
      await closed.drop(instances);
      return outcome;
    };
    const taken = await alerts({ line }, report);
    await run.finish();
    const summary = await reportFile(instances, taken, {
      dropped: closed,
      onLine: async (row) => onRow(row),
      // A fresh namespace in memory has nothing that cannot be read.
      onQuarantined: (error) => {
        throw error;
      },
    });
    return { summary, warnings: taken.warnings };
  });
}

/**
 * Alerts of files, one after the other; time goes on from file to file. Each call reads them again, stdin from what was
 * kept of it.
 */
export function alertsOfFiles(files: readonly string[], isSorted: boolean): AlertSource {
  const stdin: TextLine[] = [];
  return async (run, { onRejected, onTaken, isStopped = () => false }) => {
    let all: Taken | null = null;
    for (const file of files) {
      const label = file === "-" ? "stdin" : file;
      const before: Taken | null = all;
      const taken = await takeLines({
        lines: file === "-" ? keptLines(stdin) : readLines(file),
        run,
        label,
        isSorted,
        fromMs: before?.reachedMs ?? null,
        onRejected: (what) => onRejected(`${label}: ${what}`),
        onLine: onTaken,
        isStopped,
      });
      all = joined(before, { ...taken, warnings: taken.warnings.map((text) => `${label}: ${text}`) });
    }
    return all as Taken;
  };
}

/** Lines of stdin, which can be read only once. */
async function* keptLines(kept: TextLine[]): AsyncGenerator<TextLine> {
  const isRead = kept.length > 0;
  if (isRead) yield* kept;
  else
    for await (const line of readLines("-")) {
      kept.push(line);
      yield line;
    }
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
