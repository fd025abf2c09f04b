import { hash } from "node:crypto";
import { canonicalJson } from "../model/canonical-json.ts";
import type { ConvergenceRule } from "../model/convergence-rule.ts";
import type { Again } from "../model/instance-types.ts";
import { ACTION_TIMEOUT_MS_DEFAULT } from "../model/limits.ts";
import type { Retry } from "../model/retry.ts";
import type { Matcher } from "./matcher.ts";

/** What a policy does. Exactly one of the four. */
export type Action =
  | { readonly kind: "log" }
  | {
      readonly kind: "webhook";
      readonly url: string;
      readonly timeoutMs: number;
      readonly headers: Readonly<Record<string, string>>;
      // What follows is absent unless the policy says it.
      /** Default POST. */
      readonly method?: WebhookMethod;
      /** A template (template.ts) in place of the effect's message. */
      readonly body?: string;
      /** A 202 says that the result comes later, to the address that the message names. */
      readonly callback?: true;
      /** What the request is signed with. */
      readonly sign?: SecretSource;
      /** What templates call `secret.NAME`: read when an attempt begins, never stored. */
      readonly secrets?: Readonly<Record<string, SecretSource>>;
    }
  | { readonly kind: "exec"; readonly command: readonly string[]; readonly timeoutMs: number }
  | { readonly kind: "handler"; readonly name: string; readonly timeoutMs: number };

export const WEBHOOK_METHODS = ["POST", "PUT", "PATCH", "DELETE", "GET"] as const;

export type WebhookMethod = (typeof WEBHOOK_METHODS)[number];

/** Where a secret is read; the policy never holds it. */
export type SecretSource = { readonly file: string } | { readonly env: string };

/** One policy, parsed and complete: every default is filled in. */
export type Policy = {
  readonly name: string;
  /** First 16 hex digits of the sha256 of the policy's canonical JSON (without this field). */
  readonly version: string;
  readonly match: readonly Matcher[];
  readonly action: Action;
  readonly converge: ConvergenceRule | null;
  readonly retry: Retry;
  /**
   * `notify`: where approval requests are sent; a log line unless the policy says otherwise, for an action that repairs
   * things must not run because somebody is asked.
   */
  readonly approval: {
    readonly timeoutMs: number;
    readonly notify: Action;
    /** How many people must grant it; absent: one. */
    readonly quorum?: number;
  };
  readonly onResolved: "skip" | "keep";
  // What follows is absent unless the policy says it: versions of policies that do not are what they always were.
  /** An attempt is a success only if the alert resolves within this time. */
  readonly verify?: { readonly resolvedWithinMs: number };
  /** What a silence skipped stays skipped when the silence ends; absent: it is decided then. */
  readonly afterSilence?: "skip";
  /** Those that convergence skipped and that still fire are decided once more. */
  readonly again?: Again;
  /** It decides and audits everything and acts on nothing. */
  readonly mode?: "observe";
  readonly limits?: Limits;
};

/** A brake: what would go beyond it is held, and a pause of the policy, or of the whole namespace, begins. */
export type Limits = {
  /** Attempts within `perMs`. */
  readonly actions?: number;
  /** Failed attempts within `perMs`. */
  readonly failures?: number;
  readonly perMs: number;
};

/** A shield: matching instances are Skipped while `fromMs <= t < toMs`. */
export type Silence = {
  readonly match: readonly Matcher[];
  readonly fromMs: number;
  readonly toMs: number;
  readonly author: string;
  readonly comment: string;
};

/** What a policy file holds, in file order. */
export type PolicySet = {
  readonly policies: readonly Policy[];
  readonly silences: readonly Silence[];
  /** The brake of the whole namespace. */
  readonly limits?: Limits;
};

/**
 * The version of a policy: it changes with everything that the policy says and with nothing else (order of keys,
 * comments).
 */
export function policyVersion(policy: Omit<Policy, "version">): string {
  return hash("sha256", canonicalJson({ ...policy, version: undefined })).slice(0, 16);
}

/** What is wrong with a stored policy, or null: its text makes its version, so a changed text gives another one. */
export function storedPolicyFault({ key, value }: { key: string; value: string }): string | null {
  let policy: Policy;
  try {
    policy = JSON.parse(value) as Policy;
  } catch {
    return "cannot be read";
  }
  if (typeof policy?.name !== "string") return "was changed: its text is no policy";
  const made = `${policy.name}@${policyVersion(policy)}`;
  return made === key ? null : `was changed: its text makes ${made}`;
}

/** Everything that a policy may do: its action, and telling whoever may approve. */
export function actionsOf({ action, approval }: Policy): readonly Action[] {
  return [action, approval.notify];
}

/** How long one attempt of an action may take; `log` names none and has the default. */
export function actionTimeoutMs(action: Action): number {
  return action.kind === "log" ? ACTION_TIMEOUT_MS_DEFAULT : action.timeoutMs;
}
