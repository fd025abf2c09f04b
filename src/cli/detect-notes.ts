/**
 * What `becalm detect` says on stderr while it works: rejected rows and audit events (the first of each), edits,
 * doubts.
 */
import type { DetectionAudit } from "../detection/core/advance.ts";
import type { DetectedAlert } from "../detection/core/detected-alert.ts";
import type { StrategyEdit } from "../detection/core/strategy-edits.ts";
import type { StrategyGroup } from "../detection/core/strategy-group.ts";
import type { Detection } from "../detection/detection.ts";
import type { RefusedRow } from "../detection/detection-batch.ts";
import type { Reader } from "../present/reader.ts";
import type { Sentence } from "../present/sentences.ts";
import { printable } from "../present/text-width.ts";
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
    const rejected = this.#terminal.say("rejected", "被拒绝");
    this.#first(this.#refusedCount, `${source}:${line}: ${rejected}: ${printable(text)}`, {
      en: "Further rejected rows are only counted.",
      zh: "其余被拒绝的行只计数。",
    });
  }

  auditEvent(event: DetectionAudit, { strategies }: StrategyGroup): void {
    this.#auditCount += 1;
    const names = strategies.map(({ name }) => name).join(", ");
    this.#first(this.#auditCount, `${names}: ${auditText(event, this.#terminal.reader)}`, {
      en: "Further audit events are only counted.",
      zh: "其余审计事件只计数。",
    });
  }

  doubt(strategy: string, text: string): void {
    this.doubtCount += 1;
    this.#warn(`${strategy}: ${text}`);
  }

  edit({ strategy, openCount, resolvedCount }: StrategyEdit): void {
    const { say } = this.#terminal;
    const kept = openCount === 0 ? "" : say(`, ${openCount} of its open alerts go on`, `，${openCount} 条告警继续`);
    const ended = resolvedCount === 0 ? "" : say(`, ${resolvedCount} were resolved`, `，${resolvedCount} 条已恢复`);
    this.#warn(`${say(`${strategy} was edited`, `${strategy} 已修改`)}${kept}${ended}`);
  }

  sorted(source: string, count: number, wasAsked: boolean): void {
    if (this.#isQuiet || wasAsked) return;
    const rows = count.toLocaleString("en");
    this.#terminal.note(
      this.#terminal.say(
        `${source} is not in the order of time: its ${rows} rows are sorted`,
        `${source} 未按时间排序：已排序 ${rows} 行`,
      ),
    );
  }

  /** What people should know before the first row. */
  start(
    detection: Detection,
    { inputs, stream }: { inputs: readonly { readonly source: string }[]; stream: string },
  ): void {
    const { say } = this.#terminal;
    for (const { source } of inputs) {
      const { rows } = detection.position(source);
      if (rows > 0 && !this.#isQuiet)
        this.#terminal.note(
          say(
            `${source}: ${rows.toLocaleString("en")} rows were taken before and are not taken again`,
            `${source}：此前已读取 ${rows.toLocaleString("en")} 行，不再重复读取`,
          ),
        );
    }
    if (!inputs.some(({ source }) => detection.position(source).rows > 0)) return;
    const names = detection.newGroups().flatMap(({ strategies }) => strategies.map(({ name }) => name));
    if (names.length > 0)
      this.#warn(
        say(
          `New to the stream "${stream}", so they see only the rows that follow: ${names.join(", ")}. Give another --stream to detect all of it.`,
          `数据流 "${stream}" 中新增，只看到后续的行：${names.join(", ")}。要检测全部，请换一个 --stream。`,
        ),
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
    const { say } = this.#terminal;
    const series = [...this.#tooLate].sort(([, a], [, b]) => b - a);
    const shown = series
      .slice(0, SERIES_SHOWN)
      .map(([name, count]) => `${printable(name) || say("the only series", "唯一的序列")} (${count})`);
    const others = series.length - SERIES_SHOWN;
    const more = others > 0 ? say(` and ${others} other series`, `，以及另外 ${others} 个序列`) : "";
    this.#warn(
      say(
        `Dropped, for they came too late: points of ${shown.join("; ")}${more}. --sort puts a whole input in order.`,
        `因来得太晚而丢弃的数据点：${shown.join("; ")}${more}。--sort 会将整个输入排序。`,
      ),
    );
  }

  problems(texts: readonly string[]): void {
    for (const text of texts) this.#warn(printable(text));
  }

  /** The log has all of them. */
  #first(count: number, text: string, further: Sentence): void {
    this.#logger.warn({}, text);
    if (count > TOLD_COUNT_MAX + 1) return;
    this.#tell(count > TOLD_COUNT_MAX ? this.#terminal.say(further.en, further.zh) : text);
  }

  #warn(text: string): void {
    this.#logger.warn({}, text);
    this.#tell(text);
  }

  #tell(text: string): void {
    if (!this.#isQuiet) this.#terminal.note(this.#terminal.noteColors.yellow(text));
  }
}

function auditText(event: DetectionAudit, { say, times }: Reader): string {
  const at = (time: number) => `${times.seconds(time * 1_000)} ${times.zone}`;
  if (event.kind === "gap") {
    const [from, to] = [at(event.fromTime), at(event.toTime)];
    return say(
      `no data from ${from} to ${to}, longer than ${event.limitSeconds} s: what happened there is not known`,
      `${from} 至 ${to} 无数据，超过 ${event.limitSeconds} 秒：期间情况未知`,
    );
  }
  if (event.kind === "spacing")
    return say(
      `points come every ${event.spacingSeconds} s, and the interval is ${event.intervalSeconds} s: a trigger of several points may never be met; give the interval of the data`,
      `数据点每 ${event.spacingSeconds} 秒一个，而间隔设为 ${event.intervalSeconds} 秒：多点触发可能永远不满足；请给出数据的间隔`,
    );
  const [last, now] = [at(event.lastTime), at(event.time)];
  return say(
    `a series without data since ${last} is forgotten at ${now}; ${event.openCount} of its alerts were resolved`,
    `自 ${last} 起无数据的序列于 ${now} 移除；其 ${event.openCount} 条告警已恢复`,
  );
}
