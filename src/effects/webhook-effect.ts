import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { messageOf } from "../model/errors.ts";
import { EFFECT_RESULT_BYTES_MAX } from "../model/limits.ts";
import type { Action } from "../policy/policy.ts";
import { BoundedText } from "./bounded-text.ts";
import { startDeadline } from "./deadline.ts";
import { effectMessage } from "./effect-message.ts";
import type { EffectRequest, EffectResult } from "./effect-port.ts";
import type { SignedUrls } from "./signed-urls.ts";

type WebhookAction = Action & { kind: "webhook" };

export type WebhookOptions = { readonly urls?: SignedUrls };

/** What a webhook answered, as the audit keeps it. */
export type WebhookResult = { readonly status: number; readonly body: string };

/**
 * POSTs the effect as JSON. The status decides: 2xx is success as soon as it has come, whatever becomes of the body.
 *
 * node:http, not fetch: fetch gives up after 300 s without an answer, while an action may take two hours, and it refuses some ports.
 * One connection per attempt: one that was kept could turn out closed by its other end, and fail an attempt for nothing.
 */
export async function runWebhook(
  request: EffectRequest,
  action: WebhookAction,
  { urls }: WebhookOptions = {},
): Promise<EffectResult> {
  const url = new URL(action.url);
  const deadline = startDeadline(request.signal, action.timeoutMs);
  try {
    const response = await post(url, { request, headers: action.headers, urls: urls ?? null, signal: deadline.signal });
    const result: WebhookResult = { status: response.statusCode ?? 0, body: await startOfBody(response) };
    if (result.status >= 200 && result.status < 300) return { ok: true, result };
    return { ok: false, error: refusal(url, result.status, response.headers.location), result };
  } catch (error) {
    const fired = deadline.fired();
    return { ok: false, error: fired === null ? failure(url, error) : `The webhook to ${url.origin} ${fired}.` };
  } finally {
    deadline.release();
  }
}

type Headers = Readonly<Record<string, string>>;

type Post = { request: EffectRequest; headers: Headers; urls: SignedUrls | null; signal: AbortSignal };

/** Resolves when status and headers are there. */
function post(url: URL, { request, headers, urls, signal }: Post): Promise<IncomingMessage> {
  const body = Buffer.from(JSON.stringify(effectMessage(request, urls)));
  const options = { method: "POST", agent: false, signal, headers: headersOf(request, headers, body.length) };
  return new Promise((resolve, reject) => {
    const outgoing = url.protocol === "https:" ? httpsRequest(url, options) : httpRequest(url, options);
    outgoing.once("response", resolve);
    // Stays for good: an error after the response is the body's business, and no crash.
    outgoing.on("error", reject);
    outgoing.once("close", () => reject(new Error("the connection was closed without an answer")));
    outgoing.end(body);
  });
}

/** The policy's headers, but for those that say what the request is and where it ends. */
function headersOf(request: EffectRequest, own: Headers, bytes: number): Headers {
  const lowered = Object.entries(own).map(([name, value]) => [name.toLowerCase(), value] as const);
  const headers = Object.fromEntries(lowered.filter(([name]) => name !== "transfer-encoding"));
  return {
    "user-agent": "becalm",
    accept: "*/*",
    ...headers,
    "content-type": "application/json",
    "content-length": String(bytes),
    "accept-encoding": "identity",
    "idempotency-key": request.effectId,
    ...(request.token === undefined ? {} : { "fencing-token": String(request.token) }),
  };
}

async function startOfBody(response: IncomingMessage): Promise<string> {
  const text = new BoundedText(EFFECT_RESULT_BYTES_MAX);
  try {
    for await (const chunk of response) {
      text.add(chunk as Uint8Array);
      // Leaving the loop closes the connection.
      if (text.isFull) break;
    }
  } catch {
    text.breakOff();
  }
  return text.toString();
}

function refusal(url: URL, status: number, location: string | undefined): string {
  if (status < 300 || status >= 400) return `The webhook to ${url.origin} answered ${status}; only 2xx is success.`;
  const isReadable = location !== undefined && URL.canParse(location, url.href);
  const target = isReadable ? ` (to ${new URL(location, url.href).origin})` : "";
  return `The webhook to ${url.origin} answered ${status}, a redirect${target}. Redirects are not followed: put the final address into the policy's url.`;
}

const FAILURES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EPIPE: "connection closed",
  ETIMEDOUT: "connection timed out",
  EHOSTUNREACH: "no route",
  ENETUNREACH: "no route",
  ENOTFOUND: "no such host: no connection",
  EAI_AGAIN: "the host's name could not be looked up: no connection",
};

/** Says where in the form `http://host:port`: user, password, path and query of a webhook's URL may be secrets. */
function failure(url: URL, error: unknown): string {
  const code = (error as { code?: unknown }).code;
  const known = typeof code === "string" ? FAILURES[code] : undefined;
  if (known !== undefined) return `The webhook failed: ${known} to ${url.origin}. Check the address and its target.`;
  return `The webhook to ${url.origin} failed: ${messageOf(error)}.`;
}
