/**
 * Watches the times of a file's requests: virtual time follows them, so one wrong clock moves all that comes after it.
 */
import { isoTime } from "../present/time-text.ts";

const YEAR_MS = 365 * 86_400_000;

type Step = { readonly place: string; readonly fromMs: number; readonly toMs: number };

export class FileTime {
  #backwardCount = 0;
  #firstBackward: Step | null = null;
  #leapCount = 0;
  #firstLeap: Step | null = null;

  /** `fromMs`: the time that the run had reached; `toMs`: the request's own. null: there is none. */
  saw(place: string, fromMs: number | null, toMs: number | null): void {
    if (fromMs === null || toMs === null) return;
    const step = { place, fromMs, toMs };
    if (toMs < fromMs) {
      this.#backwardCount += 1;
      this.#firstBackward ??= step;
    } else if (toMs - fromMs > YEAR_MS) {
      this.#leapCount += 1;
      this.#firstLeap ??= step;
    }
  }

  /** What people must know to believe the result. */
  warnings(): string[] {
    return [this.#leapText(), this.#backwardText()].filter((text) => text !== null);
  }

  #leapText(): string | null {
    if (this.#firstLeap === null) return null;
    const { place, fromMs, toMs } = this.#firstLeap;
    const years = Math.floor((toMs - fromMs) / YEAR_MS);
    const more = this.#leapCount > 1 ? `, and so do ${this.#leapCount - 1} more` : "";
    const lies = `${place} lies ${years === 1 ? "a year" : `${years} years`} ahead (${isoTime(toMs)} after ${isoTime(fromMs)})`;
    return `${lies}${more}: whatever follows is dated by it. If its clock was wrong, remove it, or use --sort.`;
  }

  #backwardText(): string | null {
    if (this.#firstBackward === null) return null;
    const { place, fromMs, toMs } = this.#firstBackward;
    const count = this.#backwardCount;
    const what = count === 1 ? "1 request goes" : `${count} requests go`;
    const first = `${count === 1 ? "" : "first "}${place} (${isoTime(toMs)} after ${isoTime(fromMs)})`;
    return `${what} back in time: ${first}. Time never goes back here, so each counts as of the one before it; --sort sorts.`;
  }
}
