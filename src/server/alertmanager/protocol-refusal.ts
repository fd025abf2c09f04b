/** Refusals of Alertmanager's API: its protocol answers `{ code, message }`, its handlers a JSON text. */
import { jsonWith } from "../http/replies.ts";

/** Codes of its validation, which are not HTTP statuses. */
export const INVALID_TYPE = 601;
export const REQUIRED = 602;
export const TOO_FEW_ITEMS = 612;

export class ProtocolRefusal extends Error {
  readonly status: number;
  readonly body: unknown;

  constructor(status: number, body: unknown) {
    super(typeof body === "string" ? body : JSON.stringify(body));
    this.status = status;
    this.body = body;
  }

  reply(): Response {
    return jsonWith(this.status, this.body);
  }
}

/** A body that breaks the schema. */
export function invalidBody(code: number, message: string): ProtocolRefusal {
  return new ProtocolRefusal(422, { code, message });
}

export function required(what: string): ProtocolRefusal {
  return invalidBody(REQUIRED, `${what} in body is required`);
}

export function unreadable(what: "alerts" | "silence", why: string): ProtocolRefusal {
  return new ProtocolRefusal(400, { code: 400, message: `parsing ${what} body from "" failed, because ${why}` });
}

/** What a handler refuses. */
export function refusedText(status: 400 | 404 | 409, text: string): ProtocolRefusal {
  return new ProtocolRefusal(status, text);
}

/** `application/json` in any case, with any parameters; nothing counts as octets. */
export function requireJson(contentType: string | undefined): void {
  const type = (contentType ?? "application/octet-stream").split(";")[0]?.trim() ?? "";
  if (type.toLowerCase() === "application/json") return;
  const message = `unsupported media type ${JSON.stringify(type)}, only [application/json] are allowed`;
  throw new ProtocolRefusal(415, { code: 415, message });
}

/** A client that wants something else than JSON. */
export function requireJsonAccepted(accept: string | undefined): void {
  if (accept === undefined) return;
  const types = accept.split(",").map((part) => part.split(";")[0]?.trim().toLowerCase());
  if (types.some((type) => type === "application/json" || type === "*/*" || type === "application/*")) return;
  const message = "unsupported media type requested, only [application/json] are available";
  throw new ProtocolRefusal(406, { code: 406, message });
}
