/**
 * `POST /v1/records`: metric records through the server's strategies; what they lead to goes to the engine like any
 * alert.
 */
import { fieldsOf } from "../../detection/core/strategy.ts";
import { RECORD_FORMATS, type RecordFormat } from "../../formats/record-format-names.ts";
import { formatOf, readerOf } from "../../formats/record-formats.ts";
import type { RecordReader, RecordRow } from "../../formats/record-row.ts";
import { isoTime } from "../../present/time-text.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { requireType } from "../http/json-body.ts";
import { json, jsonWith } from "../http/replies.ts";
import type { BodyReader } from "../http/request-body.ts";
import type { Ctx, Route } from "../http/route.ts";
import type { Delivered, Taken } from "./record-stream.ts";
import type { RecordStreams } from "./record-streams.ts";

/** By its type a body is lines or a table; a JSON document is known by what it begins with. */
const FORMAT_OF_TYPE: Readonly<Record<string, (text: string) => RecordFormat>> = {
  "application/x-ndjson": () => "jsonl",
  "application/jsonl": () => "jsonl",
  "application/json": (text) => formatOf("", text),
  "text/csv": (text) => formatOf("records.csv", text),
};
const TYPES = Object.keys(FORMAT_OF_TYPE);
/** Text that is made rows of at a time. */
const CHARS_AT_ONCE = 16_384;
/** Alerts that an answer names; all are counted. */
const NAMED_COUNT_MAX = 1_000;

export type RecordPorts = { readonly streams: RecordStreams | null; readonly bodies: BodyReader };

export function recordRoutes({ streams, bodies }: RecordPorts): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/records",
      role: "operate",
      summary: "Takes metric records through the strategies; answers when they, and what they led to, are durable",
      query: [
        { name: "stream", what: "one of those that the server has; default: `default`" },
        { name: "format", what: `one of ${RECORD_FORMATS.join(", ")}; default: by the content type` },
        { name: "delimiter", what: "between the cells of a CSV, or `tab`" },
        { name: "flush", what: "no more records will follow that belong before the newest", type: "boolean" },
      ],
      body: { types: TYPES, what: "JSON lines, JSON, or CSV with a header" },
      answers: {
        200: { what: "{ stream, records, counts, refused, alerts }: what became of the records, and what they led to" },
        400: { what: "the same: every record was refused" },
        404: { what: "there is no such stream, or the server has no strategies" },
      },
      handle: (c) => take(c, { streams: requireStreams(streams), bodies }),
    },
    {
      method: "GET",
      path: "/v1/records",
      role: "read",
      summary: "The streams, and how far each is",
      answers: { 200: { what: "{ streams: [{ name, alerts, undelivered, groups }] }" } },
      handle: () =>
        json({
          streams: (streams?.all ?? []).map((stream) => ({
            name: stream.name,
            ...stream.progress(),
            undelivered: stream.undelivered,
          })),
        }),
    },
  ];
}

function requireStreams(streams: RecordStreams | null): RecordStreams {
  if (streams !== null) return streams;
  const why = "This server has no strategies, so it takes no records. Start it with --strategies FILE.";
  throw new HttpRefusal(404, "BECALM_NOT_FOUND", { why });
}

async function take(c: Ctx, { streams, bodies }: { streams: RecordStreams; bodies: BodyReader }): Promise<Response> {
  const type = requireType(c, TYPES);
  const stream = streams.find(c.req.query("stream") ?? "default");
  const format = formatIn(c.req.query("format"));
  return bodies.withBody(c.env.incoming, async (body) => {
    const text = body.toString("utf8");
    const delimiter = c.req.query("delimiter");
    const reader = readerOf(format ?? (FORMAT_OF_TYPE[type] as (text: string) => RecordFormat)(text), {
      file: "the body",
      usedFields: fieldsOf(streams.strategies),
      ...(delimiter === undefined ? {} : { delimiter: delimiter === "tab" ? "\t" : delimiter }),
    });
    const taken = await stream.take(rowsOf(reader, text), { isLast: c.req.query("flush") === "true" });
    streams.count(stream, taken);
    const isNothingTaken = taken.records > 0 && taken.counts.rejected >= taken.records;
    return jsonWith(isNothingTaken ? 400 : 200, { stream: stream.name, ...takenJson(taken) });
  });
}

function formatIn(given: string | undefined): RecordFormat | null {
  if (given === undefined) return null;
  const format = RECORD_FORMATS.find((one) => one === given);
  if (format !== undefined) return format;
  const why = `Unknown format ${JSON.stringify(given)}. The formats are ${RECORD_FORMATS.join(", ")}.`;
  throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why });
}

function* rowsOf(reader: RecordReader, text: string): Generator<RecordRow> {
  for (let at = 0; at < text.length; at += CHARS_AT_ONCE) yield* reader.feed(text.slice(at, at + CHARS_AT_ONCE));
  yield* reader.end();
}

function takenJson({ records, counts, refused, delivered }: Taken): object {
  const { accepted, rejected, unmatched, duplicates, withoutValue, late, gaps } = counts;
  return {
    records,
    counts: { accepted, rejected, unmatched, duplicates, withoutValue, late, gaps, alerts: delivered.length },
    refused,
    alerts: delivered.slice(0, NAMED_COUNT_MAX).map(deliveredJson),
  };
}

function deliveredJson({ seq, detected, delivery }: Delivered): object {
  const { alert, reason, strategy, severity, time } = detected;
  const { fingerprint, status, labels } = alert;
  return { seq, fingerprint, status, labels, strategy, severity, reason, at: isoTime(time * 1_000), ...delivery };
}
