/**
 * Times as people and programs read them. Programs always get ISO in UTC; people get their own zone, and each time says
 * which.
 */
import { isoTime } from "../model/timestamp.ts";

export { isoTime };

export type Times = {
  /** As a column's head names it: `UTC`, `Asia/Shanghai`. */
  readonly zone: string;
  /** `2026-11-23T14:49:54.767+08:00`, in a sentence. */
  readonly iso: (atMs: number) => string;
  /** `2026-11-23 14:49:54.767 +08:00`. */
  readonly dateTime: (atMs: number) => string;
  /** `2026-11-23 14:49:54`, where the zone is said elsewhere. */
  readonly seconds: (atMs: number) => string;
  /** `2026-11-23`, where the zone is said elsewhere. */
  readonly date: (atMs: number) => string;
  /** `14:49:54.767`, where the date and the zone are said elsewhere. */
  readonly clock: (atMs: number) => string;
};

export const UTC: Times = timesWith("UTC", (atMs) => ({ local: isoTime(atMs).slice(0, 23), offset: "Z" }));

/** Times of a zone: `utc`, `local`, or a name of the IANA database. null: there is no such zone. */
export function timesIn(name: string): Times | null {
  const wanted = name.toLowerCase() === "local" ? Intl.DateTimeFormat().resolvedOptions().timeZone : name;
  if (/^(utc|z)$/i.test(wanted)) return UTC;
  const format = formatOf(wanted);
  if (format === null) return null;
  const { timeZone } = format.resolvedOptions();
  return timesWith(timeZone, (atMs) => localPartsOf(format, atMs));
}

type Parts = {
  /** `2026-11-23T14:49:54.767`. */
  readonly local: string;
  /** `+08:00`, `Z`. */
  readonly offset: string;
};

function timesWith(zone: string, partsOf: (atMs: number) => Parts): Times {
  const spaced = (atMs: number) => partsOf(atMs).local.replace("T", " ");
  return {
    zone,
    iso: (atMs) => Object.values(partsOf(atMs)).join(""),
    dateTime: (atMs) => {
      const { local, offset } = partsOf(atMs);
      return `${local.replace("T", " ")} ${offset === "Z" ? "UTC" : offset}`;
    },
    seconds: (atMs) => spaced(atMs).slice(0, 19),
    date: (atMs) => spaced(atMs).slice(0, 10),
    clock: (atMs) => spaced(atMs).slice(11),
  };
}

function formatOf(timeZone: string): Intl.DateTimeFormat | null {
  try {
    return new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "2-digit",
      day: "2-digit",
      hour: "2-digit",
      minute: "2-digit",
      second: "2-digit",
      fractionalSecondDigits: 3,
      timeZoneName: "longOffset",
    });
  } catch {
    return null;
  }
}

function localPartsOf(format: Intl.DateTimeFormat, atMs: number): Parts {
  const found = Object.fromEntries(format.formatToParts(atMs).map(({ type, value }) => [type, value]));
  const { year, month, day, hour, minute, second, fractionalSecond, timeZoneName = "" } = found;
  const offset = timeZoneName.replace("GMT", "");
  return {
    local: `${year}-${month}-${day}T${hour}:${minute}:${second}.${fractionalSecond}`,
    offset: offset === "" ? "+00:00" : offset,
  };
}
