import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { messageOf } from "../model/errors.ts";
import { EFFECT_RESULT_BYTES_MAX } from "../model/limits.ts";
import { AddressGuard, RefusedAddress } from "./address-guard.ts";
import { BoundedText } from "./bounded-text.ts";
import { startDeadline } from "./deadline.ts";
import type { EffectRequest, EffectResult } from "./effect-port.ts";
import { SecretUnreadable, withoutSecrets } from "./secrets.ts";
import type { SignedUrls } from "./signed-urls.ts";
import {
  type Callback,
  TemplateUnfilled,
  type WebhookAction,
  type WebhookRequest,
  webhookRequest,
} from "./webhook-request.ts";

export type WebhookOptions = {
  readonly urls?: SignedUrls;
  /** Where webhooks may go; default: not to link-local and metadata addresses. */
  readonly guard?: AddressGuard;
  readonly now?: () => number;
};

/** What a webhook answered, as the audit keeps it. */
export type WebhookResult = { readonly status: number; readonly body: string };

/** The result comes later, to the callback's address. */
export type Postponed = { readonly awaitedUntilMs: number };

/** Where anybody may go who is not told otherwise. */
const GUARD = new AddressGuard();

/**
 * Sends the effect in one request. The status decides: 2xx is success as soon as it has come, whatever becomes of the
 * body.
 *
 * node:http, not fetch: fetch gives up after 300 s without an answer, while an action may take two hours, and it
 * refuses some ports. One connection per attempt: one that was kept could turn out closed by its other end, and fail an
 * attempt for nothing.
 */
export async function runWebhook(
  request: EffectRequest,
  action: WebhookAction,
  options: WebhookOptions = {},
): Promise<EffectResult> {
  const ended = await runAwaitedWebhook(request, action, { ...options, callback: null });
  return "ok" in ended ? ended : { ok: true };
}

/** The same, and a 202 says that the result comes later. */
export async function runAwaitedWebhook(
  request: EffectRequest,
  action: WebhookAction,
  { urls, guard = GUARD, now = Date.now, callback }: WebhookOptions & { readonly callback: Callback | null },
): Promise<EffectResult | Postponed> {
  const { origin } = new URL(action.url);
  const deadline = startDeadline(request.signal, action.timeoutMs);
  let secrets: readonly string[] = [];
  try {
    const made = await webhookRequest(request, action, { urls: urls ?? null, callback, nowMs: now() });
    secrets = made.secrets;
    const response = await send(made, { guard, signal: deadline.signal });
    const body = withoutSecrets(await startOfBody(response), secrets);
    const result: WebhookResult = { status: response.statusCode ?? 0, body };
    if (result.status === 202 && callback !== null) return { awaitedUntilMs: callback.untilMs };
    if (result.status >= 200 && result.status < 300) return { ok: true, result };
    return { ok: false, error: refusal(origin, result.status, response.headers.location), result };
  } catch (error) {
    const fired = deadline.fired();
    const text = fired === null ? failure(origin, error) : `The webhook to ${origin} ${fired}.`;
    return { ok: false, error: withoutSecrets(text, secrets) };
  } finally {
    deadline.release();
  }
}

/** Resolves when status and headers are there. */
function send(
  { url, method, headers, body }: WebhookRequest,
  { guard, signal }: { guard: AddressGuard; signal: AbortSignal },
): Promise<IncomingMessage> {
  guard.requireAllowed(url.hostname);
  const options = { method, agent: false, signal, headers, lookup: guard.lookup };
  return new Promise((resolve, reject) => {
    const outgoing = url.protocol === "https:" ? httpsRequest(url, options) : httpRequest(url, options);
    outgoing.once("response", resolve);
    // Stays for good: an error after the response is the body's business, and no crash.
    outgoing.on("error", reject);
    outgoing.once("close", () => reject(new Error("the connection was closed without an answer")));
    outgoing.end(body ?? undefined);
  });
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

function refusal(origin: string, status: number, location: string | undefined): string {
  if (status < 300 || status >= 400) return `The webhook to ${origin} answered ${status}; only 2xx is success.`;
  const isReadable = location !== undefined && URL.canParse(location, origin);
  const target = isReadable ? ` (to ${new URL(location, origin).origin})` : "";
  return `The webhook to ${origin} answered ${status}, a redirect${target}. Redirects are not followed: put the final address into the policy's url.`;
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
function failure(origin: string, error: unknown): string {
  if (error instanceof RefusedAddress) return `The webhook to ${origin} was not sent. ${error.message}.`;
  if (error instanceof TemplateUnfilled || error instanceof SecretUnreadable)
    return `The webhook to ${origin} was not sent: ${error.message}.`;
  const code = (error as { code?: unknown }).code;
  const known = typeof code === "string" ? FAILURES[code] : undefined;
  if (known !== undefined) return `The webhook failed: ${known} to ${origin}. Check the address and its target.`;
  return `The webhook to ${origin} failed: ${messageOf(error)}.`;
}
