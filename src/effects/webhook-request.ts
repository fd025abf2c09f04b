/** The request of one attempt: the effect's message, or what the policy's templates make of it. */
import { createHmac } from "node:crypto";
import type { Action } from "../policy/policy.ts";
import { fillTemplate, parseTemplate, type TemplatePlace } from "../policy/template.ts";
import { bodyPlace } from "../policy/template-fields.ts";
import { traceHeaders } from "../system/tracing.ts";
import { type EffectMessage, effectMessage, proofsIn } from "./effect-message.ts";
import type { EffectRequest } from "./effect-port.ts";
import { readSecret, readSecrets } from "./secrets.ts";
import type { SignedUrls } from "./signed-urls.ts";

export type WebhookAction = Action & { readonly kind: "webhook" };

export type WebhookRequest = {
  readonly url: URL;
  readonly method: string;
  readonly headers: Readonly<Record<string, string>>;
  /** null: a method without one. */
  readonly body: Buffer | null;
  /** What may be repeated nowhere. */
  readonly secrets: readonly string[];
};

/** Why a request cannot be made: a sentence's end. */
export class TemplateUnfilled extends Error {}

export type Callback = { readonly url: string; readonly untilMs: number };

export type RequestParts = {
  readonly urls: SignedUrls | null;
  /** null: the action does not wait for one. */
  readonly callback: Callback | null;
  readonly nowMs: number;
};

/** Throws TemplateUnfilled or SecretUnreadable. */
export async function webhookRequest(
  request: EffectRequest,
  action: WebhookAction,
  { urls, callback, nowMs }: RequestParts,
): Promise<WebhookRequest> {
  const message = { ...effectMessage(request, urls), ...callbackField(callback) };
  const secrets = await readSecrets(action.secrets ?? {});
  const key = action.sign === undefined ? null : await readSecret(action.sign);
  const scope = { ...scopeOf(message), secret: secrets };
  const fill = (text: string, place: TemplatePlace) => filled(text, scope, place);
  const method = action.method ?? "POST";
  const own = Object.entries(action.headers).map(([name, text]) => [
    name.toLowerCase(),
    headerValue(name, fill(text, "header")),
  ]);
  const body = method === "GET" ? null : Buffer.from(bodyText(action, message, fill));
  return {
    url: new URL(fill(action.url, "url")),
    method,
    headers: {
      ...headersOf(request, { own: Object.fromEntries(own), isTemplate: action.body !== undefined, body }),
      ...(key === null ? {} : signatureHeaders(request.effectId, { key, body: body ?? Buffer.alloc(0), nowMs })),
    },
    body,
    secrets: [...Object.values(secrets), ...(key === null ? [] : [key]), ...proofsIn(message)],
  };
}

function callbackField(callback: Callback | null): { callback?: { url: string; until: string } } {
  return callback === null ? {} : { callback: { url: callback.url, until: new Date(callback.untilMs).toISOString() } };
}

/** The fields that templates name: those of a notice's subject stand where an action has them. */
function scopeOf(message: EffectMessage): Readonly<Record<string, unknown>> {
  const { kind, effectId, attempt, policy, instance, ...about } = message;
  const subject = "summary" in about ? about.summary : "approval" in about ? about.approval : null;
  const { alert = null, sentence = null, rule = null, dimensions = null } = subject ?? {};
  return { kind, effectId, attempt, policy, instance, alert, sentence, rule, dimensions, ...about };
}

function bodyText(
  action: WebhookAction,
  message: EffectMessage,
  fill: (text: string, place: TemplatePlace) => string,
): string {
  return action.body === undefined ? JSON.stringify(message) : fill(action.body, bodyPlace(action));
}

/** What is no template is meant as it stands: versions of policies that were made before there were any. */
function filled(text: string, scope: Readonly<Record<string, unknown>>, place: TemplatePlace): string {
  if (!text.includes("{{")) return text;
  const template = parseTemplate(text);
  if ("mistake" in template) return text;
  const result = fillTemplate(template, scope, place);
  if ("missing" in result)
    throw new TemplateUnfilled(`there is no ${result.missing}; write {{ ${result.missing} ?? TEXT }} in the policy`);
  return result.text;
}

function headerValue(name: string, text: string): string {
  if (/^[\t\x20-\x7e\x80-\xff]*$/.test(text)) return text;
  throw new TemplateUnfilled(`the header ${name} would hold a line break, or letters that no header can hold`);
}

type HeaderParts = {
  readonly own: Readonly<Record<string, string>>;
  readonly isTemplate: boolean;
  readonly body: Buffer | null;
};

/** The policy's headers, but for those that say what the request is and where it ends. */
function headersOf(request: EffectRequest, { own, isTemplate, body }: HeaderParts): Record<string, string> {
  const { "transfer-encoding": _, "content-type": type = "application/json", ...headers } = own;
  return {
    "user-agent": "becalm",
    accept: "*/*",
    ...headers,
    ...traceHeaders(),
    ...(body === null
      ? {}
      : { "content-type": isTemplate ? type : "application/json", "content-length": String(body.length) }),
    "accept-encoding": "identity",
    "idempotency-key": request.effectId,
    ...(request.token === undefined ? {} : { "fencing-token": String(request.token) }),
  };
}

/** As https://www.standardwebhooks.com has it, so that its libraries verify it. */
function signatureHeaders(
  id: string,
  { key, body, nowMs }: { key: string; body: Buffer; nowMs: number },
): Record<string, string> {
  const timestamp = String(Math.floor(nowMs / 1_000));
  const bytes = key.startsWith("whsec_") ? Buffer.from(key.slice("whsec_".length), "base64") : Buffer.from(key);
  const hmac = createHmac("sha256", bytes).update(`${id}.${timestamp}.`).update(body);
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${hmac.digest("base64")}` };
}
