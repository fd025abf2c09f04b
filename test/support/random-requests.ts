/** Requests that nobody would send on purpose: every route, with ids, queries, headers and bodies of every kind. */
import type { Sent } from "./http-client.ts";

export type RandomRequest = Sent & { readonly path: string };

/** Repeatable: the same seed gives the same requests. */
export function* randomRequests(seed: number, paths: readonly string[]): Generator<RandomRequest> {
  const random = mulberry(seed);
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T;
  for (;;) {
    const path = one(paths).replace(/\{\w+\}/g, () => encodeURIComponent(one(TEXTS)));
    const query = random() < 0.4 ? `?${one(QUERY_NAMES)}=${encodeURIComponent(one(TEXTS))}` : "";
    const method = one(METHODS);
    const headers: Record<string, string> = {};
    if (random() < 0.9) headers["content-type"] = one(TYPES);
    if (random() < 0.1) headers["origin"] = one(["null", "https://evil.example", "http://127.0.0.1"]);
    if (random() < 0.1) headers["if-match"] = one(['"1"', "*", "x", '"1", "2"']);
    if (random() < 0.1) headers["accept"] = one(["text/plain", "*/*", "application/json;q=0.1"]);
    if (random() < 0.1) headers["last-event-id"] = one(TEXTS).replace(/[^\x20-\x7e]/g, "");
    const body = method === "GET" || method === "HEAD" ? undefined : bodyOf(random, one);
    // A stream of events never ends, also where `/..` leads to it.
    if (path.endsWith("/events") && method === "GET") continue;
    yield { path: path + query, method, headers, ...(body === undefined ? {} : { body }) };
  }
}

function bodyOf(random: () => number, one: <T>(of: readonly T[]) => T): string {
  const kind = random();
  if (kind < 0.15) return one(TEXTS);
  if (kind < 0.5) return JSON.stringify(Array.from({ length: Math.floor(random() * 4) }, () => alert(random, one)));
  if (kind < 0.6) return JSON.stringify({ alerts: [alert(random, one)] });
  if (kind < 0.8) return JSON.stringify(silence(one));
  if (kind < 0.82) return JSON.stringify({ policies: one(CANDIDATES), since: one(TEXTS), limit: one(VALUES) });
  return JSON.stringify({ type: one(EVENTS), by: one(VALUES), why: one(VALUES) });
}

function alert(random: () => number, one: <T>(of: readonly T[]) => T): unknown {
  if (random() < 0.05) return one(VALUES);
  return {
    labels: random() < 0.1 ? one(VALUES) : record(one),
    annotations: random() < 0.2 ? one(VALUES) : undefined,
    startsAt: one(TIMES),
    endsAt: one(TIMES),
    status: one([undefined, "firing", "resolved", 1]),
    generatorURL: one([undefined, "/x", "no url", 1]),
  };
}

function record(one: <T>(of: readonly T[]) => T): unknown {
  return JSON.parse(
    `{${JSON.stringify(one(TEXTS))}:${JSON.stringify(one(["x", "y", "", 1, null]))},"alertname":"Fuzz"}`,
  );
}

function silence(one: <T>(of: readonly T[]) => T): unknown {
  return {
    id: one([undefined, "", "x", "00000000-0000-4000-8000-000000000000"]),
    matchers: one([undefined, [], [{ name: one(TEXTS), value: one(TEXTS), isRegex: one([true, false, 1]) }], 1]),
    startsAt: one(TIMES),
    endsAt: one(TIMES),
    createdBy: one(VALUES),
    comment: one(VALUES),
  };
}

const METHODS = ["GET", "GET", "POST", "POST", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"];
const TYPES = [
  "application/json",
  "application/json",
  "application/json",
  "text/plain",
  "text/csv",
  "application/x-ndjson",
  "application/JSON; charset=x",
  "",
];
const TEXTS = [
  "x",
  "",
  "__proto__",
  "constructor",
  "toString",
  "a\u0000b",
  "\ud83d\ude42",
  "\u00e9",
  "..",
  "%",
  "a/b",
  "#",
  "?",
  "(",
  "[",
  'a=~"("',
  "{}",
  "1",
  "-1",
  "NaN",
  "03-0a1b2c3d4e5f60718293a4b5",
  "99-0a1b2c3d4e5f60718293a4b5",
  "default:!sha1#",
  "x".repeat(3_000),
  'a="b"',
  "true",
  "6h",
  "limit_reached",
  "1764324000000:03-0a1b2c3d4e5f60718293a4b5",
  "Waiting",
];
const VALUES: readonly unknown[] = ["x", "", null, undefined, 1, true, [], {}, "y".repeat(5_000), { toString: 1 }];
const TIMES = [
  undefined,
  null,
  "",
  "x",
  "0001-01-01T00:00:00Z",
  "2026-01-01T00:00:00Z",
  "9999-12-31T23:59:59Z",
  "2026-11-28T00:00:00",
  5,
  "2099-01-01T00:00:00+14:00",
];
const EVENTS = ["start", "cancel", "end", "approval.granted", "approval.denied", "alert.resolved", "nope", undefined];
const CANDIDATES: readonly unknown[] = [
  "policies: [",
  "policies: []",
  "policies: [{ name: x, match: [], action: { log: {} } }]",
  1,
];
const QUERY_NAMES = [
  "filter",
  "receiver",
  "active",
  "silenced",
  "limit",
  "cursor",
  "state",
  "policy",
  "group",
  "reason",
  "labels",
  "text",
  "since",
  "quarantined",
  "at",
  "stream",
  "source",
  "format",
  "delimiter",
  "flush",
  "__proto__",
];

function mulberry(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
