/**
 * `becalm audit verify --against LOG`: the store's audit entries beside the lines that were logged when they were
 * committed. Whoever changes a store and makes its chains of hashes fit again cannot change a log that lies elsewhere.
 *
 * The store is read before the logs, so an entry that is committed meanwhile is at most missing in the store: entries
 * from after the start are left out.
 */
import { birthOf } from "../instance/audit.ts";
import { trailEntries } from "../instance/trail.ts";
import { RETENTION_MS_DEFAULT } from "../model/limits.ts";
import { count } from "../present/text-table.ts";
import { type ComparedEntry, type Difference, LogComparison } from "./log-comparison.ts";
import { readLines } from "./read-text.ts";
import type { Terminal } from "./terminal.ts";

export type Against = {
  /**
   * Hands in an instance's history as the store, or a bundle, has it. `birthHash`: of its first line, if that was
   * redacted.
   */
  readonly add: (id: string, lines: readonly string[], birthHash: string | null) => Promise<void>;
  /** Reads the logs, reports what differs, and gives the numbers. */
  readonly report: (to: { terminal: Terminal; isJson: boolean }) => Promise<AgainstTotals>;
};

export type AgainstTotals = {
  readonly logged: number;
  missingInLog: number;
  missingInStore: number;
  /** Of instances that are gone and whose last line is older than the retention: they were removed in good order. */
  expired: number;
  /** Audit lines of an earlier version, which have no hash, and lines that cannot be read. */
  readonly withoutHash: number;
  readonly unreadable: number;
};

/** `ids`: only these; empty: all. `startedAtMs`: what is newer is not compared; null: nobody writes meanwhile. */
export type AgainstOptions = {
  readonly logs: readonly string[];
  readonly ids: readonly string[];
  readonly startedAtMs: number | null;
};

/** Calls `use` with a comparison, or with null if no log was named. */
export async function withAgainst<T>(
  options: AgainstOptions,
  use: (against: Against | null) => Promise<T>,
): Promise<T> {
  if (options.logs.length === 0) return use(null);
  const comparison = await LogComparison.open();
  try {
    return await use({
      add: async (id, lines, birthHash) => {
        for (const entry of entriesOf(id, lines, birthHash)) {
          if (options.startedAtMs === null || entry.atMs < options.startedAtMs) await comparison.add("store", entry);
        }
      },
      report: (to) => report(comparison, options, to),
    });
  } finally {
    await comparison.close();
  }
}

function entriesOf(id: string, lines: readonly string[], birthHash: string | null): ComparedEntry[] {
  const createdAtMs = bornAtMs(id, lines);
  return trailEntries(lines, birthHash).map(({ version, atMs, hash }, index) => ({
    instance: id,
    version,
    hash,
    atMs: atMs ?? createdAtMs,
    place: `entry ${index + 1}`,
  }));
}

/** A first line that cannot be read is reported by the check of the trail. */
function bornAtMs(id: string, lines: readonly string[]): number {
  try {
    return birthOf(id, lines).createdAtMs;
  } catch {
    return 0;
  }
}

async function report(
  comparison: LogComparison,
  { logs, ids, startedAtMs }: AgainstOptions,
  { terminal, isJson }: { terminal: Terminal; isJson: boolean },
): Promise<AgainstTotals> {
  const wanted = new Set(ids);
  const read = { logged: 0, withoutHash: 0, unreadable: 0 };
  for (const path of logs) {
    for await (const { line, text, isTooLong } of readLines(path)) {
      const entry = isTooLong ? "unreadable" : auditLineOf(text, `${path}:${line}`);
      if (entry === null) continue;
      if (typeof entry === "string") read[entry] += 1;
      else if (wanted.size === 0 || wanted.has(entry.instance)) {
        if (startedAtMs !== null && entry.atMs >= startedAtMs) continue;
        read.logged += 1;
        await comparison.add("log", entry);
      }
    }
  }
  const totals: AgainstTotals = { ...read, missingInLog: 0, missingInStore: 0, expired: 0 };
  for await (const difference of comparison.differences()) {
    if (startedAtMs !== null && isExpired(difference, startedAtMs)) {
      totals.expired += 1;
      continue;
    }
    totals[difference.missingIn === "log" ? "missingInLog" : "missingInStore"] += 1;
    await tell(difference, { terminal, isJson });
  }
  return totals;
}

/** null: a line that is not an audit line. */
function auditLineOf(text: string, place: string): ComparedEntry | "withoutHash" | "unreadable" | null {
  if (text.trim() === "") return null;
  let line: Record<string, unknown> | null;
  try {
    line = JSON.parse(text) as Record<string, unknown> | null;
  } catch {
    return "unreadable";
  }
  const { instance, version, event, path, hash, at } = line ?? {};
  if (typeof instance !== "string" || typeof version !== "number" || typeof event !== "string") return null;
  if (typeof path !== "string") return null;
  if (typeof hash !== "string") return "withoutHash";
  return { instance, version, hash, atMs: Date.parse(String(at)) || 0, place };
}

function isExpired({ missingIn, entry, isKnown }: Difference, nowMs: number): boolean {
  return missingIn === "store" && !isKnown && entry.atMs < nowMs - RETENTION_MS_DEFAULT;
}

async function tell(
  { missingIn, entry, isKnown }: Difference,
  { terminal, isJson }: { terminal: Terminal; isJson: boolean },
): Promise<void> {
  const { instance, version, hash, atMs, place } = entry;
  if (isJson) {
    await terminal.json({ id: instance, ok: false, version, hash, what: `missing in the ${missingIn}`, place });
    return;
  }
  const { say, reader } = terminal;
  const red = terminal.outColors.red("✗");
  const at = reader.times.iso(atMs);
  const [en, zh] =
    missingIn === "log"
      ? [`${place} (version ${version}, ${at}) is in no log`, `${place}（版本 ${version}，${at}）不在任何日志中`]
      : isKnown
        ? [
            `the store has another entry than ${place} (version ${version})`,
            `存储中的记录与 ${place} 不同（版本 ${version}）`,
          ]
        : [
            `${place} (version ${version}) was logged, and the store does not have it`,
            `${place}（版本 ${version}）已记入日志，但存储中没有`,
          ];
  await terminal.out(`${red} ${instance}: ${say(en, zh)}`);
}

/** The numbers as sentences, for people. */
export function againstText(totals: AgainstTotals, say: Terminal["say"]): string[] {
  const { logged, missingInLog, missingInStore, expired, withoutHash, unreadable } = totals;
  const sentences: readonly [number: number, en: string, zh: string][] = [
    [
      missingInLog,
      `${count(missingInLog, "entry", "entries")} of the store missing in the logs.`,
      `存储中有 ${missingInLog} 条记录不在日志中。`,
    ],
    [
      missingInStore,
      `${count(missingInStore, "logged entry", "logged entries")} missing in the store.`,
      `日志中有 ${missingInStore} 条记录不在存储中。`,
    ],
    [
      expired,
      `${count(expired, "logged entry is", "logged entries are")} older than the default retention, and their instances are gone.`,
      `${expired} 条日志记录早于默认保留期，其实例已移除。`,
    ],
    [
      withoutHash,
      `${count(withoutHash, "audit line has", "audit lines have")} no hash: an earlier version wrote them. They were not compared.`,
      `${withoutHash} 条审计日志没有哈希（由更早版本写入），未比对。`,
    ],
    [unreadable, `${count(unreadable, "line", "lines")} of the logs cannot be read.`, `${unreadable} 行日志无法读取。`],
  ];
  const compared = say(
    `${count(logged, "audit line", "audit lines")} of the logs compared.`,
    `已比对 ${logged} 条审计日志。`,
  );
  return [compared, ...sentences.filter(([number]) => number > 0).map(([, en, zh]) => say(en, zh))];
}
