/** What an engine is made with, and what its calls take: checked at once, before anything is made of it. */
import { AddressGuard } from "./effects/address-guard.ts";
import type { EffectHandlers } from "./effects/local-effects.ts";
import type { SignedUrls } from "./effects/signed-urls.ts";
import { nearestName } from "./formats/nearest-name.ts";
import { type PolicyInput, policySetFrom } from "./formats/policy-file.ts";
import type { Inspect } from "./inspect/inspect-target.ts";
import { BecalmError } from "./model/errors.ts";
import { INSTANCE_STATES } from "./model/instance-types.ts";
import { CLOCK_SKEW_MS_DEFAULT, CONCURRENCY_MAX, LIST_PAGE_COUNT_MAX, PARTITION_COUNT_MAX } from "./model/limits.ts";
import { REASONS } from "./model/reasons.ts";
import type { Policy, PolicySet } from "./policy/policy.ts";
import type { RemovedBundles } from "./removed-bundles.ts";
import type { ListFilter } from "./runtime/instance-reader.ts";
import type { OwnersStatus } from "./runtime/owners/owners.ts";
import {
  ANYTHING,
  type Expected,
  FLAG,
  FUNCTIONS,
  having,
  oneOf,
  TEXT,
  validateOneOption,
  validateOptions,
  wholeNumber,
} from "./runtime/validate-options.ts";
import type { LiveDriver } from "./runtime/workers/live-driver.ts";
import type { StoreStatus } from "./runtime/workers/store-watch.ts";
import type { ShadowRequest, ShadowStatus } from "./shadow.ts";
import type { Store } from "./stores/store.ts";
import type { Clock } from "./system/clock.ts";
import { type Logger, silentLogger } from "./system/logger.ts";

export type AnswerTarget = { readonly id: string } | { readonly group: string };
/** Both go into the audit. */
export type Who = { readonly by: string; readonly why: string };

export type EngineOptions = {
  /**
   * A policy file's content as an object, its list of policies, or a set that `loadPolicySet` gave, or
   * `parsePolicies` as its `policySet`.
   */
  readonly policies: PolicyInput;
  /** Default: a new memory store. */
  readonly store?: Store;
  readonly clock?: Clock;
  /** By the names that `action: { handler: { name } }` uses. */
  readonly handlers?: EffectHandlers;
  readonly logger?: Logger;
  /** Lets `exec` actions run. Default false. */
  readonly allowExec?: boolean;
  /**
   * Link-local and metadata addresses, or ranges of them such as `169.254.20.0/24`, that webhooks may reach anyway.
   * Default: none.
   */
  readonly allowAddresses?: readonly string[];
  /**
   * Makes the signed addresses at which approval requests and long attempts are answered. Default: none are handed out.
   */
  readonly urls?: SignedUrls;
  /** Actions at once in this process, and beside them as many notices (approval requests, summaries). Default 16. */
  readonly concurrency?: number;
  /** How long instances at rest are kept. Default 7 days. */
  readonly retentionMs?: number;
  /**
   * Where instances are written before they are removed: each page becomes a bundle, as `becalm export` writes it. What
   * cannot be written is not removed. Give it to every engine of the namespace: once one has it, those without remove
   * nothing, until `becalm doctor --allow-unexported-removal` says that they may. Default: removed instances are gone.
   */
  readonly exportRemoved?: RemovedBundles;
  /** Partitions of the namespace, fixed when it is created. Default 16. */
  readonly partitions?: number;
  /** How long `stop` waits for attempts that are under way before it aborts them, in real time. Default 30 s. */
  readonly drainMs?: number;
  /** Alerts that may be under way at once; `ingest` refuses more as BECALM_BUSY. Default 50,000. */
  readonly maxAlertsUnderWay?: number;
  /** About how many bytes the alerts under way may write; `ingest` refuses more as BECALM_BUSY. Default 128 MiB. */
  readonly maxBytesUnderWay?: number;
  /**
   * How far the clock of this process may be from the store's. Beyond it alerts are refused (BECALM_CLOCK_SKEW), no
   * timer fires and nothing is removed. Default 5 s; with a `clock` of the program's own nothing is compared unless
   * this is given.
   */
  readonly maxClockSkewMs?: number;
  /**
   * Decides and audits everything and acts on nothing: of the instances that are made by this engine. Default false.
   */
  readonly observe?: boolean;
  /**
   * A candidate: what would have gone another way under these policies, `engine.shadow()` says. Nothing of it acts, and
   * nothing of it is written. See docs/what-if.md.
   */
  readonly shadow?: PolicyInput;
  /**
   * Leaves all effects in the outbox, for workers (`createWorker`, `becalm worker`): this process runs none. Default
   * false.
   */
  readonly leaveEffects?: boolean;
  /**
   * No engine of version 0.1.0 is left on the namespace: it is raised to the format of this version as soon as every
   * process that lives understands that. Default: `becalm doctor --raise-format` does it. See docs/operating.md.
   */
  readonly raiseFormat?: boolean;
  /**
   * Who watches the instances: a server of `createInspectServer`, or an inspection observer of XState. See
   * docs/inspecting.md.
   */
  readonly inspect?: Inspect;
};

const OPTIONS: Readonly<Record<keyof EngineOptions, Expected>> = {
  policies: ANYTHING,
  store: having("a store, as redisStore(URL) or memoryStore() makes it", ["open", "commit", "close"]),
  clock: having("a clock with now and schedule", ["now", "schedule"]),
  handlers: FUNCTIONS,
  logger: having("a logger with debug, info, warn and error, such as pino's", ["debug", "info", "warn", "error"]),
  allowExec: FLAG,
  allowAddresses: {
    what: "a list of addresses and ranges",
    holds: (value) => Array.isArray(value) && value.every((one) => typeof one === "string"),
  },
  urls: having("an object that makes signed addresses", ["approval", "callback"]),
  concurrency: wholeNumber(1, CONCURRENCY_MAX),
  retentionMs: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  exportRemoved: {
    what: "{ folder, namespace }, two texts",
    holds: (value) => {
      const { folder, namespace } = (value ?? {}) as Record<string, unknown>;
      return TEXT.holds(folder) && TEXT.holds(namespace);
    },
  },
  partitions: wholeNumber(1, PARTITION_COUNT_MAX),
  drainMs: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  maxAlertsUnderWay: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  maxBytesUnderWay: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  maxClockSkewMs: wholeNumber(1, Number.MAX_SAFE_INTEGER),
  observe: FLAG,
  shadow: ANYTHING,
  leaveEffects: FLAG,
  raiseFormat: FLAG,
  inspect: {
    what: "a server of createInspectServer, or an inspection observer of XState",
    holds: (value) => typeof value === "function" || (typeof value === "object" && value !== null),
  },
};

const FILTERS: Readonly<Record<keyof ListFilter, Expected>> = {
  state: oneOf(INSTANCE_STATES),
  policy: TEXT,
  group: TEXT,
  reason: oneOf(Object.keys(REASONS)),
  labels: {
    what: "label values, or matchers as a text",
    holds: (value) => typeof value === "string" || (typeof value === "object" && value !== null),
  },
  text: TEXT,
  since: {
    what: "epoch milliseconds, or a time such as 2026-11-23T06:00:00Z",
    holds: (value) => typeof value === "number" || typeof value === "string",
  },
  quarantined: FLAG,
  limit: wholeNumber(1, LIST_PAGE_COUNT_MAX),
  cursor: TEXT,
};

const SHADOW_REQUEST: Readonly<Record<keyof ShadowRequest, Expected>> = {
  sinceMs: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  limit: wholeNumber(0, Number.MAX_SAFE_INTEGER),
  signal: having("an AbortSignal", ["throwIfAborted"]),
};

const TARGETS = { id: TEXT, group: TEXT };

/**
 * Gives the policies that an engine is made with.
 * @throws BECALM_ARGUMENT_INVALID for an option that is unknown or whose value is invalid, also for a handler that a
 * policy names and that is missing; BECALM_POLICY_INVALID with every mistake of the policies
 */
export function validateEngineOptions(options: EngineOptions): PolicySet {
  validateOptions("createEngine", options, OPTIONS);
  new AddressGuard(options.allowAddresses);
  return policiesOf("createEngine", options);
}

/** Before there is a driver nothing is known. */
export function refusalOf(driver: LiveDriver | null): EngineStatus["refusal"] {
  const error = driver?.owners.upgrade.outdated ?? driver?.storeWatch.refusal ?? null;
  return error === null ? null : { code: error.code, message: error.message };
}

export type EngineStatus = StoreStatus & {
  /** Alerts that are being decided, and about how many bytes they will write. */
  readonly alertsUnderWay: number;
  readonly bytesUnderWay: number;
  /** Failed attempts that the brakes (`limits`) could not count yet; it is tried again every second. */
  readonly uncountedFailures: number;
  /**
   * Why alerts are refused now, and what to do, as far as this process knows: the store takes no writes (tried every
   * 2 s), its clock differs, or this process had to leave the namespace. null: they are taken.
   */
  readonly refusal: Readonly<Pick<BecalmError, "code" | "message">> | null;
  /** Absent: the engine has none. */
  readonly shadow?: ShadowStatus;
  /**
   * Sweeps since this engine began that ended early, because what they were to remove could not be exported. Absent:
   * nothing is exported.
   */
  readonly failedExports?: number;
} & OwnersStatus;

/**
 * A clock of the program's own differs on purpose, unless the program says how far it may. null: nothing is compared.
 */
export function maxClockSkewOf({ maxClockSkewMs, clock }: EngineOptions): number | null {
  return maxClockSkewMs ?? (clock === undefined ? CLOCK_SKEW_MS_DEFAULT : null);
}

const NO_POLICIES =
  "There are no policies: every alert is unmatched, and nothing is done about any. Put some into force with engine.reload(policies)";

/** The policies that `call` is given, if each handler that they name is there. None at all is worth a warning. */
export function policiesOf(call: string, options: EngineOptions): PolicySet {
  const { policies, handlers = {}, leaveEffects, logger = silentLogger } = options;
  const set = policySetFrom(policies);
  if (set.policies.length === 0) logger.warn({ call }, NO_POLICIES);
  // Its workers have them.
  if (leaveEffects === true) return set;
  const missing = set.policies.flatMap((policy) => missingHandlers(policy, handlers));
  if (missing.length === 0) return set;
  const known = Object.keys(handlers);
  const lines = missing.map(({ handler, policy, path }) => {
    const nearest = nearestName(handler, known);
    const hint = nearest === null ? "" : ` Did you mean ${JSON.stringify(nearest)}?`;
    return `policy "${policy}" names ${JSON.stringify(handler)} in ${path}.${hint}`;
  });
  const given = known.length === 0 ? "none is given" : `given: ${known.join(", ")}`;
  const what = `${call} has no handler: ${lines.join("\n  ")}\nGive it in \`handlers\` (${given}).`;
  throw new BecalmError("BECALM_ARGUMENT_INVALID", what, { details: { call, missing } });
}

type MissingHandler = { readonly policy: string; readonly handler: string; readonly path: string };

function missingHandlers({ name, action, approval }: Policy, handlers: EffectHandlers): MissingHandler[] {
  const named = [
    { action, path: "action" },
    { action: approval.notify, path: "approval.notify" },
  ];
  return named.flatMap(({ action: { kind, ...rest }, path }) => {
    const handler = kind === "handler" && "name" in rest ? rest.name : null;
    return handler === null || Object.hasOwn(handlers, handler) ? [] : [{ policy: name, handler, path }];
  });
}

export function validateListFilter(filter: ListFilter): void {
  validateOptions("engine.list", filter, FILTERS);
}

export function validateShadowRequest(request: ShadowRequest): void {
  validateOptions("engine.shadow", request, SHADOW_REQUEST);
}

/** `call`: for whom it is checked. */
export function validateAnswerTarget(call: string, target: object): void {
  validateOneOption(call, target, TARGETS);
}
