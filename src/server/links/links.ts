/**
 * The addresses that leave this server with a proof of their own: answers to approval requests, and callbacks of long
 * attempts.
 */
import type { ApprovalAbout, ApprovalLinks, SignedUrls } from "../../effects/signed-urls.ts";
import type { Effect } from "../../instance/effect.ts";
import type { Signer } from "../../system/signer.ts";

export const ANSWER_PATH = "/v1/answers/";
export const CALLBACK_PATH = "/v1/callbacks/";

export type Verb = "approve" | "deny";

/** What an approval link says. `dueAtMs` tells the request apart from a later one about the same instance. */
export type ApprovalClaim = {
  readonly verb: Verb;
  readonly instance: string;
  /** null: the link is about the instance alone. */
  readonly group: string | null;
  readonly dueAtMs: number;
  readonly untilMs: number;
};

export type CallbackClaim = { readonly effect: Effect; readonly untilMs: number };

export type LinksOptions = {
  /** How people and programs reach this server, such as `https://becalm.example.org`. */
  readonly externalUrl: string;
  readonly signer: Signer;
  /** Links of one namespace mean nothing in another. */
  readonly namespace: string;
};

export class Links implements SignedUrls {
  readonly #options: LinksOptions;
  readonly #base: string;

  constructor(options: LinksOptions) {
    this.#options = options;
    this.#base = options.externalUrl.replace(/\/+$/, "");
  }

  get origin(): string {
    return new URL(this.#base).origin;
  }

  get host(): string {
    return new URL(this.#base).hostname;
  }

  approval({ instance, group, dueAtMs, joinMs }: ApprovalAbout): ApprovalLinks {
    const link = (verb: Verb, of: string | null, untilMs: number): string => {
      const claim: ApprovalClaim = { verb, instance, group: of, dueAtMs, untilMs };
      return `${this.#base}${ANSWER_PATH}${this.#options.signer.sign(this.#purpose("approval"), claim)}`;
    };
    const pair = (of: string | null, untilMs: number) => ({
      approve: link("approve", of, untilMs),
      deny: link("deny", of, untilMs),
    });
    if (group === null) return { ...pair(null, dueAtMs), one: null };
    // Whoever joined the group while the first one waited waits at most so much longer.
    return { ...pair(group, dueAtMs + joinMs), one: pair(null, dueAtMs) };
  }

  callback(effect: Effect, untilMs: number): string {
    const claim: CallbackClaim = { effect, untilMs };
    return `${this.#base}${CALLBACK_PATH}${this.#options.signer.sign(this.#purpose("callback"), claim)}`;
  }

  /** null: it was not made here. */
  readApproval(signed: string): ApprovalClaim | null {
    return this.#options.signer.open(this.#purpose("approval"), signed) as ApprovalClaim | null;
  }

  readCallback(signed: string): CallbackClaim | null {
    return this.#options.signer.open(this.#purpose("callback"), signed) as CallbackClaim | null;
  }

  #purpose(what: string): string {
    return `becalm ${what} ${this.#options.namespace}`;
  }
}

/** Its requests carry a proof in their address. */
export function isSignedPath(path: string): boolean {
  return path.startsWith(ANSWER_PATH) || path.startsWith(CALLBACK_PATH);
}
