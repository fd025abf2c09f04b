/** Addresses that are handed out with an effect, each with its own proof: whoever has one may do what it says, once. */
import type { Effect } from "../instance/effect.ts";

export type ApprovalLinks = {
  /** For all that the group holds; without a group for the instance. */
  readonly approve: string;
  readonly deny: string;
  /** For the one instance; null: there is no group. */
  readonly one: { readonly approve: string; readonly deny: string } | null;
};

export type ApprovalAbout = {
  readonly instance: string;
  readonly group: string | null;
  readonly dueAtMs: number;
  /** How much longer those wait at most that join the group meanwhile. */
  readonly joinMs: number;
};

export interface SignedUrls {
  /** Links that show what is asked and decide it on a second click. */
  approval(about: ApprovalAbout): ApprovalLinks;
  /** Where the result of an attempt is reported until `untilMs`. */
  callback(effect: Effect, untilMs: number): string;
}
