/** What `becalm detect` says on stderr while it works: rejected rows and audit events (the first of each), edits, doubts. */
import type { DetectionAudit } from "../detection/core/advance.ts";
import type { DetectedAlert } from "../detection/core/detected-alert.ts";
import type { StrategyEdit } from "../detection/core/strategy-edits.ts";
import type { StrategyGroup } from "../detection/core/strategy-group.ts";
import type { Detection } from "../detection/detection.ts";
import type { RefusedRow } from "../detection/detection-batch.ts";
import { printable } from "../present/text-width.ts";
import { dateTime } from "../present/time-text.ts";
import type { Logger } from "../system/logger.ts";
import type { Terminal } from "./terminal.ts";

/** Rejected rows and audit events that are reported one by one; further ones are only counted. */
const TOLD_COUNT_MAX = 20;
const SERIES_SHOWN = 10;
const SERIES_COUNTED_MAX = 10_000;
const DELAYS_MAX = 10_000;

export class DetectNotes {
  readonly #terminal: Terminal;
  readonly #isQuiet: boolean;
  readonly #logger: Logger;
  #refusedCount = 0;
  #auditCount = 0;
  readonly #tooLate = new Map<string, number>();
  readonly #delays: number[] = [];
  doubtCount = 0;

  constructor(terminal: Terminal, { isQuiet, logger }: { isQuiet: boolean; logger: Logger }) {
    this.#terminal = terminal;
    this.#isQuiet = isQuiet;
    this.#logger = logger;
  }

  refused(source: string, { line, text, series }: RefusedRow): void {
    if (series !== undefined && (this.#tooLate.has(series) || this.#tooLate.size < SERIES_COUNTED_MAX))
      this.#tooLate.set(series, (this.#tooLate.get(series) ?? 0) + 1);
    this.#refusedCount += 1;
    this.#first(this.#refusedCount, `${source}:${line}: rejected: ${printable(text)}`, "rejected rows");
  }

  auditEvent(event: DetectionAudit, { strategies }: StrategyGroup): void {
    this.#auditCount += 1;
    this.#first(
      this.#auditCount,
      `${strategies.map(({ name }) => name).join(", ")}: ${auditText(event)}`,
      "audit events",
    );
  }

  doubt(strategy: string, text: string): void {
    this.doubtCount += 1;
    this.#warn(`${strategy}: ${text}`);
  }

  edit({ strategy, openCount, resolvedCount }: StrategyEdit): void {
    const kept = openCount === 0 ? "" : `, ${openCount} of its open alerts go on`;
    const ended = resolvedCount === 0 ? "" : `, ${resolvedCount} were resolved`;
    this.#warn(`${strategy} was edited${kept}${ended}`);
  }

  sorted(source: string, count: number, wasAsked: boolean): void {
    if (!this.#isQuiet && !wasAsked)
      this.#terminal.note(`${source} is not in the order of time: its ${count.toLocaleString("en")} rows are sorted`);
  }

  /** What people should know before the first row. */
  start(
    detection: Detection,
    { inputs, stream }: { inputs: readonly { readonly source: string }[]; stream: string },
  ): void {
    for (const { source } of inputs) {
      const { rows } = detection.position(source);
      if (rows > 0 && !this.#isQuiet)
        this.#terminal.note(`${source}: ${rows.toLocaleString("en")} rows were taken before and are not taken again`);
    }
    if (!inputs.some(({ source }) => detection.position(source).rows > 0)) return;
    const names = detection.newGroups().flatMap(({ strategies }) => strategies.map(({ name }) => name));
    if (names.length > 0)
      this.#warn(
        `New to the stream "${stream}", so they see only the rows that follow: ${names.join(", ")}. Give another --stream to detect all of it.`,
      );
  }

  /** How long after their data's time alerts were decided. */
  decided(alerts: readonly DetectedAlert[]): void {
    const nowMs = Date.now();
    for (const { time } of alerts) if (this.#delays.length < DELAYS_MAX) this.#delays.push(nowMs / 1_000 - time);
  }

  delaySeconds(): { readonly median: number; readonly max: number } | null {
    const delays = this.#delays.toSorted((a, b) => a - b);
    if (delays.length === 0) return null;
    const rounded = (seconds: number | undefined) => Math.round((seconds ?? 0) * 10) / 10;
    return { median: rounded(delays[Math.floor(delays.length / 2)]), max: rounded(delays.at(-1)) };
  }

  /** The series whose points came too late to be put in their place. */
  tooLate(): void {
    if (this.#tooLate.size === 0) return;
    const series = [...this.#tooLate].sort(([, a], [, b]) => b - a);
    const shown = series
      .slice(0, SERIES_SHOWN)
      .map(([name, count]) => `${printable(name) || "the only series"} (${count})`);
    const more = series.length > SERIES_SHOWN ? ` and ${series.length - SERIES_SHOWN} other series` : "";
    this.#warn(
      `Dropped, for they came too late: points of ${shown.join("; ")}${more}. --sort puts a whole input in order.`,
    );
  }

  problems(texts: readonly string[]): void {
    for (const text of texts) this.#warn(printable(text));
  }

  /** The log has all of them. */
  #first(count: number, text: string, what: string): void {
    this.#logger.warn({}, text);
    if (count > TOLD_COUNT_MAX + 1) return;
    this.#tell(count > TOLD_COUNT_MAX ? `Further ${what} are only counted.` : text);
  }

  #warn(text: string): void {
    this.#logger.warn({}, text);
    this.#tell(text);
  }

  #tell(text: string): void {
    if (!this.#isQuiet) this.#terminal.note(this.#terminal.noteColors.yellow(text));
  }
}

function auditText(event: DetectionAudit): string {
  const at = (time: number) => dateTime(time * 1_000).slice(0, 19);
  if (event.kind === "gap")
    return `no data from ${at(event.fromTime)} to ${at(event.toTime)}, longer than ${event.limitSeconds} s: what happened there is not known`;
  if (event.kind === "spacing")
    return `points come every ${event.spacingSeconds} s, and the interval is ${event.intervalSeconds} s: a trigger of several points may never be met; give the interval of the data`;
  return `a series without data since ${at(event.lastTime)} is forgotten at ${at(event.time)}; ${event.openCount} of its alerts were resolved`;
}
