/**
 * The store behind a running `becalm serve`, for looking: a command that names a server reads what the server's own
 * process has, also where no second process may open the store. What is written goes through the server's API, never
 * through here.
 */
import { BecalmError, type ErrorCode, errorCode, messageOf } from "../../model/errors.ts";
import type { LiveProcess, Processes } from "../processes.ts";
import type { Store, StoredInstance } from "../store.ts";
import { type ProcessReadCall, READ_CALLS, type ReadCall } from "./read-calls.ts";

export type ServerAddress = {
  readonly url: string;
  /** Sent as bearer. */
  readonly token?: string | undefined;
};

const REPLY_MS_MAX = 30_000;
/** Of one answer. */
const DEAD_LETTER_COUNT_MAX = 1_000;

type ErrorBody = { readonly error?: { readonly code?: string; readonly message?: string; readonly details?: object } };
/** Of errors of the protocol under /api/v2. */
type ProtocolErrorBody = { readonly code: number; readonly message: string };

/**
 * Asks the server's API; the answer's body. Rejects with the error that the server names, or BECALM_STORE_UNAVAILABLE.
 */
export async function askServer(
  { url, token }: ServerAddress,
  path: string,
  { method = "POST", body }: { readonly method?: "GET" | "POST" | "PUT" | "DELETE"; readonly body?: unknown },
): Promise<unknown> {
  const response = await fetch(`${url.replace(/\/+$/, "")}${path}`, {
    method,
    headers: {
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(REPLY_MS_MAX),
  }).catch((cause: unknown) => {
    throw unavailable(url, messageOf((cause as Error).cause ?? cause), cause);
  });
  const answer = (await response.json().catch(() => null)) as ErrorBody | ProtocolErrorBody | string | null;
  if (response.ok) return answer;
  const text = protocolText(answer);
  if (text !== null) throw new BecalmError(codeOf(response.status), `The server refuses: ${text.replace(/\.$/, "")}.`);
  const code = errorCode((answer as ErrorBody | null)?.error);
  if (code === undefined) throw unavailable(url, `it answered ${response.status}, which no server of Becalm does`);
  throw refused(code, answer as ErrorBody);
}

/** Under /api/v2 errors are texts, or a code and a text, as Alertmanager's are. */
function protocolText(answer: ErrorBody | ProtocolErrorBody | string | null): string | null {
  if (typeof answer === "string") return answer;
  return answer !== null && "message" in answer && typeof answer.message === "string" ? answer.message : null;
}

const CODE_OF: Readonly<Partial<Record<number, ErrorCode>>> = {
  401: "BECALM_UNAUTHENTICATED",
  403: "BECALM_FORBIDDEN",
  404: "BECALM_NOT_FOUND",
  409: "BECALM_EVENT_REFUSED",
  503: "BECALM_STORE_UNAVAILABLE",
};

function codeOf(status: number): ErrorCode {
  return CODE_OF[status] ?? "BECALM_ARGUMENT_INVALID";
}

function refused(code: ErrorCode, { error }: ErrorBody): BecalmError {
  return new BecalmError(code, error?.message ?? code, { details: { ...error?.details } });
}

function unavailable(url: string, why: string, cause?: unknown): BecalmError {
  const text = `The server at ${url} cannot be asked: ${why}. Check --server, and that \`becalm serve\` is up there.`;
  return new BecalmError("BECALM_STORE_UNAVAILABLE", text, { cause, details: { url } });
}

/** A store of which only the reading calls work. */
export function serverStore(address: ServerAddress): Store {
  const call = async (name: ReadCall | ProcessReadCall, ...given: unknown[]): Promise<unknown> => {
    const answer = await askServer(address, "/v1/read", { body: { call: name, given } });
    if (typeof answer === "object" && answer !== null && "result" in answer) return answer.result;
    throw unavailable(address.url, "it answered something that no server of Becalm does");
  };
  const reading = Object.fromEntries(READ_CALLS.map((name) => [name, (...given: unknown[]) => call(name, ...given)]));
  const load = async (request: Parameters<Store["load"]>[0]) => {
    const loaded = (await call("load", request)) as { instances: [string, StoredInstance][] };
    return revived(loaded);
  };
  const touched = async (ids: readonly string[]) => new Map((await call("touched", ids)) as [string, number][]);
  const outbox = {
    deadLetters: async ({ limit }: { limit: number }) => {
      const path = `/v1/dead-letters?limit=${Math.min(limit, DEAD_LETTER_COUNT_MAX)}`;
      return ((await askServer(address, path, { method: "GET" })) as { deadLetters: object[] }).deadLetters;
    },
  };
  const processes: Pick<Processes, "living" | "waiting" | "enrolled"> = {
    living: async () => (await call("processes.living")) as LiveProcess[],
    // Nothing waits where there can be only one process.
    waiting: async (id) => Number(await call("processes.waiting", id)),
    enrolled: async (ids) => new Map((await call("processes.enrolled", ids)) as [string, string][]),
  };
  const own: Record<string, unknown> = {
    outbox,
    ...reading,
    processes,
    load,
    touched,
    close: () => Promise.resolve(),
  };
  // A promise that resolves with the store asks it for `then`.
  return new Proxy({} as Store, {
    get: (_, name) => (name === "then" || name in own ? own[name as string] : onlyReading),
  });
}

/** Maps travel as lists of their entries. */
function revived(loaded: object): Awaited<ReturnType<Store["load"]>> {
  const maps = Object.entries(loaded).map(([name, value]) => [
    name,
    isEntries(name, value) ? new Map(value as [string, unknown][]) : value,
  ]);
  return Object.fromEntries(maps) as Awaited<ReturnType<Store["load"]>>;
}

function isEntries(name: string, value: unknown): boolean {
  return name !== "group" && Array.isArray(value);
}

function onlyReading(): Promise<never> {
  const text = "This goes through a server, which is asked and not written to. Run the command beside the store.";
  return Promise.reject(new BecalmError("BECALM_ARGUMENT_INVALID", text));
}
