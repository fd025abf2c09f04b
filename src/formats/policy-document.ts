/**
 * A policy file as a program writes it, typed: a misspelt key or function does not compile. What types cannot say (a
 * matcher's syntax, ranges, names that are given twice) is checked when it is read; docs/schema/policies.schema.json
 * has the same keys.
 */
import type { ConvergenceFunction } from "../model/convergence-rule.ts";
import type { WebhookMethod } from "../policy/policy.ts";

/** As in Prometheus: `30s`, `5m`, `1h30m`. A number has no unit, so only zero may be one. */
export type DurationText = string | 0;

/** A list of texts in Alertmanager's syntax, or a single one; all matchers must hold. */
export type MatchDocument = string | readonly string[];

/** Where a secret is read. */
export type SecretDocument = { readonly file: string } | { readonly env: string };

export type WebhookDocument = {
  readonly url: string;
  readonly timeout?: DurationText | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly method?: WebhookMethod | undefined;
  /** A text, or a JSON value whose texts are templates. */
  readonly body?: string | Readonly<Record<string, unknown>> | readonly unknown[] | undefined;
  readonly callback?: boolean | undefined;
  readonly sign?: SecretDocument | undefined;
  readonly secrets?: Readonly<Record<string, SecretDocument>> | undefined;
};

export type ExecDocument = { readonly command: readonly string[]; readonly timeout?: DurationText | undefined };

export type HandlerDocument = { readonly name: string; readonly timeout?: DurationText | undefined };

/** Exactly one of the four kinds. */
export type ActionDocument =
  | OneOf<"log", Readonly<Record<string, never>> | null>
  | OneOf<"webhook", WebhookDocument>
  | OneOf<"exec", ExecDocument>
  | OneOf<"handler", HandlerDocument>;

type ActionKind = "log" | "webhook" | "exec" | "handler";

type OneOf<Kind extends ActionKind, Value> = { readonly [Key in Kind]: Value } & {
  readonly [Key in Exclude<ActionKind, Kind>]?: undefined;
};

export type ConvergeDocument = {
  readonly function: ConvergenceFunction;
  readonly by?: readonly string[] | undefined;
  readonly where?: Readonly<Record<string, readonly (string | number)[]>> | undefined;
  readonly count?: number | undefined;
  readonly window: DurationText;
  readonly max_window?: DurationText | undefined;
  readonly summary_delay?: DurationText | undefined;
};

export type LimitsDocument = {
  readonly actions?: number | undefined;
  readonly failures?: number | undefined;
  readonly per: DurationText;
};

/** One policy. docs/policies.md says what each key means. */
export type PolicyDocument = {
  readonly name: string;
  readonly match: MatchDocument;
  readonly action: ActionDocument;
  readonly converge?: ConvergeDocument | null | undefined;
  readonly retry?:
    | {
        readonly limit?: number | undefined;
        readonly delay?: DurationText | undefined;
        readonly backoff?: number | undefined;
      }
    | undefined;
  readonly approval?:
    | {
        readonly timeout?: DurationText | undefined;
        readonly notify?: ActionDocument | undefined;
        readonly quorum?: number | undefined;
      }
    | undefined;
  readonly verify?: { readonly resolved_within: DurationText } | undefined;
  readonly after_silence?: "decide" | "skip" | undefined;
  readonly again?: { readonly after: DurationText; readonly limit?: number | undefined } | undefined;
  readonly mode?: "act" | "observe" | undefined;
  readonly limits?: LimitsDocument | undefined;
  readonly on_resolved?: "skip" | "keep" | undefined;
};

export type SilenceDocument = {
  readonly match: MatchDocument;
  readonly from: string | Date;
  readonly to: string | Date;
  readonly author: string;
  readonly comment: string;
};

/** A whole file. */
export type PolicyFileDocument = {
  readonly policies: readonly PolicyDocument[];
  readonly silences?: readonly SilenceDocument[] | null | undefined;
  readonly limits?: LimitsDocument | undefined;
};
