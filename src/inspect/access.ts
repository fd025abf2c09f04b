/**
 * Who may look: a request must come to the loopback address, from a page that is allowed, with the token of this start.
 * Pure.
 */
import { createHash, timingSafeEqual } from "node:crypto";
import { BecalmError } from "../model/errors.ts";

export type AccessRules = {
  readonly token: string;
  /** Origins of pages that may connect, besides the server's own. */
  readonly origins: readonly string[];
};

export type AccessRequest = {
  readonly host: string | undefined;
  readonly origin: string | undefined;
  readonly token: string | null;
  readonly port: number;
};

/** `wrong host`: a name that somebody else's page made point here. Tools that are not browsers send no origin. */
export function refusal(
  rules: AccessRules,
  { host, origin, token, port }: AccessRequest,
): { status: 401 | 403; why: string } | null {
  const own = [`127.0.0.1:${port}`, `localhost:${port}`];
  if (host === undefined || !own.includes(host))
    return { status: 403, why: `This server answers at http://127.0.0.1:${port} only.` };
  const isOwn = origin !== undefined && own.some((name) => origin === `http://${name}`);
  if (origin !== undefined && !isOwn && !rules.origins.includes(origin)) {
    return {
      status: 403,
      why: `A page of ${JSON.stringify(origin)} may not look at this engine. Allow it with the option origins.`,
    };
  }
  if (token === null || !equalTexts(token, rules.token)) {
    return {
      status: 401,
      why: "The token is missing or wrong. Open the address that was printed at the start; each start has its own.",
    };
  }
  return null;
}

/** Digests have one length, so comparing them tells nothing about the token. */
function equalTexts(a: string, b: string): boolean {
  const digest = (text: string) => createHash("sha256").update(text).digest();
  return timingSafeEqual(digest(a), digest(b));
}

/**
 * `https://stately.ai/inspect` -> `https://stately.ai`. Throws BECALM_ARGUMENT_INVALID for anything but an http(s)
 * address.
 */
export function originOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : null;
  if (parsed !== null && /^https?:$/.test(parsed.protocol)) return parsed.origin;
  throw new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `${JSON.stringify(url)} is not the URL of a page. Write it as https://HOST/PATH.`,
  );
}
