/** May this request pass? Host, token, role, origin: pure rules over a request's headers. */
import { hostName, isLoopback } from "../http/listen-address.ts";
import { type Caller, mayActAs, type Role, type TokenBook, UNAUTHENTICATED } from "./tokens.ts";

export type AccessRules = {
  /** null: no tokens file. */
  readonly tokens: TokenBook | null;
  /** The server listens on loopback only. */
  readonly isLoopbackOnly: boolean;
  readonly isTls: boolean;
  /** Origins of pages that may send requests, besides the server's own. */
  readonly origins: readonly string[];
  /** The name by which signed addresses reach this server; null: it signs none. */
  readonly signedHost: string | null;
};

export type AccessRequest = {
  readonly method: string;
  readonly host?: string | undefined;
  readonly origin?: string | undefined;
  readonly authorization?: string | undefined;
  readonly fetchSite?: string | undefined;
  /** Its address carries a proof. */
  readonly isSigned?: boolean;
};

export type Refusal = {
  readonly status: 401 | 403;
  readonly code: "BECALM_UNAUTHENTICATED" | "BECALM_FORBIDDEN";
  readonly why: string;
};

function forbidden(why: string): Refusal {
  return { status: 403, code: "BECALM_FORBIDDEN", why };
}

/**
 * Before a route is looked at. A server that answers without a token on loopback answers only to loopback names: a
 * foreign page may point a name of its own at 127.0.0.1, and its requests then bear that name.
 */
export function originRefusal(rules: AccessRules, request: AccessRequest): Refusal | null {
  const { origin, method } = request;
  if (rules.tokens === null && rules.isLoopbackOnly && !isKnownHost(rules, request))
    return forbidden(
      "This server answers to loopback names only. Use http://127.0.0.1:PORT, or start it with --tokens.",
    );
  if (method === "GET" || method === "HEAD" || method === "OPTIONS") return null;
  if (origin !== undefined && !isAllowedOrigin(rules, request))
    return forbidden(`A page of ${JSON.stringify(origin)} may not send requests. Allow it with --allow-origin.`);
  if (origin === undefined && request.fetchSite === "cross-site")
    return forbidden("A page of another site may not send requests.");
  return null;
}

/**
 * A proxy before the server may pass on signed requests under the name by which it is known, and no others.
 */
function isKnownHost({ signedHost }: AccessRules, { host, isSigned }: AccessRequest): boolean {
  const name = host === undefined ? undefined : hostName(host);
  return isLoopback(name) || (isSigned === true && name !== undefined && name === signedHost);
}

export function isAllowedOrigin(rules: AccessRules, { origin, host }: Pick<AccessRequest, "origin" | "host">): boolean {
  if (origin === undefined) return false;
  return origin === `${rules.isTls ? "https" : "http"}://${host}` || rules.origins.includes(origin);
}

/** Who calls, or why nobody may: 401 without a valid token, 403 for too small a role. */
export function authenticate(
  rules: Pick<AccessRules, "tokens">,
  { authorization }: Pick<AccessRequest, "authorization">,
  role: Role,
): Caller | Refusal {
  if (rules.tokens === null) return UNAUTHENTICATED;
  const token = /^Bearer +([\x21-\x7e]+) *$/i.exec(authorization ?? "")?.[1];
  const caller = token === undefined ? null : rules.tokens.callerOf(token);
  if (caller === null) {
    const why =
      token === undefined
        ? "A token is required: send `Authorization: Bearer TOKEN`."
        : "The token is unknown. Check it against the tokens file of this server.";
    return { status: 401, code: "BECALM_UNAUTHENTICATED", why };
  }
  if (mayActAs(caller, role)) return caller;
  return forbidden(`This needs the role ${role}; the token of ${JSON.stringify(caller.name)} has ${caller.role}.`);
}
