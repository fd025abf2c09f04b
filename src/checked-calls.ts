/**
 * The functions of the pure rooms as programs call them: what they are given is looked at first. Inside, the same
 * functions are called many times for each alert, with values that were checked before.
 */
import { type ExplainedVerdict, evaluateConvergence as evaluate } from "./convergence/convergence.ts";
import { type DimensionRule, type Dimensions, dimensionKey as keyOf } from "./convergence/dimension-key.ts";
import { cleanEvent as cleaned, type ParseOptions, parseRecord as parsed } from "./detection/records/record.ts";
import type { RecordQuery, Rejection, StateEvent } from "./detection/records/record-types.ts";
import type { AuditEntry, History } from "./instance/audit-types.ts";
import { type DecideInput, type Decision, decide as decided } from "./instance/decide.ts";
import type { Outcomes } from "./instance/outcome.ts";
import type { ConvergenceRule, Observation } from "./model/convergence-rule.ts";
import { fingerprintOf as fingerprint } from "./model/fingerprint.ts";
import type { Policy } from "./policy/policy.ts";
import { type CompiledPolicy, compilePolicy as compiled } from "./policy/policy-versions.ts";
import { type ExplainOptions, explain as explained } from "./present/explained-entry.ts";
import { type Expected, requireArgument } from "./runtime/validate-options.ts";
import { type Replay, type ReplayOptions, replay as replayed } from "./simulate/replay.ts";

type Kind = "text" | "list" | "object" | "map";
const KINDS: Readonly<Record<Kind, (value: unknown) => boolean>> = {
  text: (value) => typeof value === "string",
  list: Array.isArray,
  object: (value) => typeof value === "object" && value !== null && !Array.isArray(value),
  map: (value) => value instanceof Map,
};

/** An object with at least these keys. */
function shape(what: string, keys: Readonly<Record<string, Kind>>): Expected {
  const holds = (value: unknown) =>
    KINDS.object(value) &&
    Object.entries(keys).every(([key, kind]) => KINDS[kind]((value as Record<string, unknown>)[key]));
  return { what, holds };
}

const POLICY = shape("a policy, as loadPolicySet(text).policies has them", {
  name: "text",
  version: "text",
  action: "object",
  approval: "object",
});
const HISTORY = shape("a history, as engine.get(id).history() gives it", {
  instance: "text",
  birth: "object",
  policy: "object",
  entries: "list",
});
const ENTRY = shape("an entry of a history", { instance: "text", policy: "text", event: "object", path: "list" });
const EVENT = shape("an event, as parseRecord gives it", { recordId: "text", dimensionFields: "list" });
const QUERY = shape("a query, as a strategy has it: { metrics, ... }", { metrics: "list" });
const RULE = shape('a rule: { function: "trigger", count: 3 }', { function: "text" });
const DIMENSION_RULE = shape('a rule: { function: "trigger", by: ["host"] }', { function: "text" });
const INPUT = shape("{ commands, policies, instances, ... }", {
  commands: "list",
  policies: "map",
  instances: "map",
  waiters: "list",
});
const OBJECT = (what: string) => shape(what, {});
const LABELS: Expected = {
  what: 'labels: { alertname: "HostDown" }, all values texts',
  holds: (value) => KINDS.object(value) && Object.values(value as object).every(KINDS.text),
};

/** The event under the standard's own field names. */
export function cleanEvent(event: StateEvent): ReturnType<typeof cleaned> {
  requireArgument("cleanEvent", EVENT, event);
  return cleaned(event);
}

/** A policy ready to match. */
export function compilePolicy(policy: Policy): CompiledPolicy {
  requireArgument("compilePolicy", POLICY, policy);
  return compiled(policy);
}

/** `outcomes`: how instances are stepped. Both ways give the same bytes; tests compare. */
export function decide(input: DecideInput, outcomes?: Outcomes): Decision {
  requireArgument("decide", INPUT, input);
  return decided(input, outcomes);
}

/**
 * The key under which instances of a rule converge: `!sha1#` and 40 hex digits. Compatible with the system that the
 * rules come from, so that ids can be compared: the text hashed is `#<function>`, then `|<dimension>:<value>` in
 * code-point order of the dimensions. A dimension of `by` gives the instance's own value, one of `where` alone its
 * listed values in the configured order, whatever the instance's own is.
 */
export function dimensionKey(rule: DimensionRule, dimensions: Dimensions): string {
  requireArgument("dimensionKey", DIMENSION_RULE, rule);
  requireArgument("dimensionKey", OBJECT('dimensions second: { host: "a" }'), dimensions);
  return keyOf(rule, dimensions);
}

/**
 * Decides one instance of a group: the verdict, its reason code, and the nearest change that would have flipped it.
 * `rule`: only `function` and `count` matter. `observation`: numbers of peers, the instance itself not counted.
 * @throws BECALM_ARGUMENT_INVALID if the function is unknown
 */
export function evaluateConvergence(
  rule: Pick<ConvergenceRule, "function" | "count">,
  observation: Observation,
): ExplainedVerdict {
  requireArgument("evaluateConvergence", RULE, rule);
  requireArgument("evaluateConvergence", OBJECT("an observation second: { isNew, executed, ... }"), observation);
  return evaluate(rule, observation);
}

/**
 * What an entry of a history says to people: what the step did, and why.
 * @throws BECALM_ARGUMENT_INVALID if the language is unknown
 */
export function explain(entry: AuditEntry, options: ExplainOptions = {}): string {
  requireArgument("explain", ENTRY, entry);
  requireArgument("explain", OBJECT("options second: { lang, history }"), options);
  if (options.history !== undefined) requireArgument("explain", HISTORY, options.history);
  return explained(entry, options);
}

/**
 * The fingerprint of a label set: 16 hex digits of FNV-1a 64 over `name 0xff value 0xff`, names ascending by their
 * UTF-8 bytes. It equals the `fingerprint` that Alertmanager gives the same labels.
 */
export function fingerprintOf(labels: Readonly<Record<string, string>>): string {
  requireArgument("fingerprintOf", LABELS, labels);
  return fingerprint(labels);
}

/**
 * One raw monitoring record as a state event, or why it is none. Never throws on a record, whatever it is; a query that
 * is wrong in itself (an unknown unit, a precision out of range, no metric) is BECALM_ARGUMENT_INVALID.
 */
export function parseRecord(query: RecordQuery, raw: unknown, options?: ParseOptions): StateEvent | Rejection {
  requireArgument("parseRecord", QUERY, query);
  return parsed(query, raw, options ?? {});
}

/**
 * Re-executes a history.
 * @throws BECALM_HISTORY_BROKEN when the machine refuses an event that the history says it took.
 */
export function replay(history: History, options: ReplayOptions = {}): Replay {
  requireArgument("replay", HISTORY, history);
  requireArgument("replay", OBJECT("options second: { inspect }"), options);
  return replayed(history, options);
}
