/**
 * What the endpoint answers to HTTP: its page, the page's files, and charts for where the hosted inspector cannot be
 * reached.
 */
import { readFileSync } from "node:fs";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { convergenceGroupMachine } from "../../machines/convergence-group.machine.ts";
import { chartOf, drawChartData } from "../drawing/index.ts";
import { BecalmError } from "../model/errors.ts";
import { originOf } from "./access.ts";
import { definitionOf } from "./protocol.ts";
import { type Redact, redaction } from "./redaction.ts";

export type PageRequest = {
  readonly method: string;
  readonly url: URL;
  readonly refused: { readonly status: number; readonly why: string } | null;
  readonly inspectorUrl: string | null;
  readonly redact: Redact;
};

export type PageAnswer = { readonly status: number; readonly headers: Record<string, string>; readonly body: string };

const MACHINES = [actionInstanceMachine, convergenceGroupMachine];
/**
 * Read once: a chart that is drawn again is not laid out again, which would keep the engine waiting for a tenth of a
 * second.
 */
const CHARTS = new Map(MACHINES.map((machine) => [machine.id, chartOf(machine)]));
const PATH_COUNT_MAX = 64;
const NOTHING_REDACTED = redaction([]);

export function pageAnswer(request: PageRequest): PageAnswer {
  const { method, url, refused } = request;
  if (method !== "GET" && method !== "HEAD") return plain(405, "Only GET is answered.");
  // They are the same for everybody and tell nothing; a page cannot hand its token on to them.
  if (url.pathname === "/page.js") return file("page.js", "text/javascript");
  if (url.pathname === "/page.css") return file("page.css", "text/css");
  if (refused !== null) return plain(refused.status, refused.why);
  if (url.pathname === "/") return page(request.inspectorUrl);
  if (url.pathname === "/chart.svg") return drawn(request);
  return plain(404, "There is no such page. Open the address that was printed at the start.");
}

function page(inspectorUrl: string | null): PageAnswer {
  const html = asset("page.html").replace("{{inspectorUrl}}", escaped(inspectorUrl ?? ""));
  const frame = inspectorUrl === null ? "'none'" : originOf(inspectorUrl);
  const policy = `default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' ws://127.0.0.1:* ws://localhost:*; img-src 'self' data:; frame-src ${frame}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`;
  return answer(200, { type: "text/html", body: html, headers: { "content-security-policy": policy } });
}

function drawn({ url, redact }: PageRequest): PageAnswer {
  const machine = MACHINES.find(({ id }) => id === url.searchParams.get("machine"));
  const chart = CHARTS.get(machine?.id ?? "");
  if (machine === undefined || chart === undefined) return plain(404, "There is no such machine.");
  if (definitionOf(machine, redact) !== definitionOf(machine, NOTHING_REDACTED))
    return plain(403, "Parts of this machine are redacted, so it is not drawn.");
  const path = (url.searchParams.get("path") ?? "")
    .split(",")
    .filter((visit) => visit !== "")
    .slice(-PATH_COUNT_MAX)
    .map((visit) => {
      const [state = "", event, guard] = visit.split("~");
      return event === undefined ? state : { state, event, guard };
    });
  try {
    return answer(200, { type: "image/svg+xml", body: drawChartData(chart, { format: "svg", path }) });
  } catch (error) {
    if (error instanceof BecalmError) return plain(400, error.message);
    throw error;
  }
}

function file(name: string, type: string): PageAnswer {
  return answer(200, { type, body: asset(name) });
}

function plain(status: number, text: string): PageAnswer {
  return answer(status, { type: "text/plain", body: `${text}\n` });
}

type Content = { readonly type: string; readonly body: string; readonly headers?: Record<string, string> };

function answer(status: number, { type, body, headers: more = {} }: Content): PageAnswer {
  // The page's address holds the token: no page that it embeds may learn it as its referrer.
  const headers = {
    "content-type": `${type}; charset=utf-8`,
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
  };
  return { status, headers: { ...headers, ...more }, body };
}

/** Lies beside this file in the sources and in the build. */
function asset(name: string): string {
  return readFileSync(new URL(`./page/${name}`, import.meta.url), "utf8");
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll('"', "&quot;").replaceAll("<", "&lt;");
}
