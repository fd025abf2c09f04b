/**
 * The table of every checkpoint key: type, template, life and label, in one place. A key is made only through
 * this table, so a parameter that is missing or misspelt does not compile, and docs/data-layout.md can be checked
 * against it.
 */
import { BecalmError } from "../../model/errors.ts";

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;

/**
 * The life of a key whose definition sets none: one week, not for ever, so that what nobody asks for any more goes
 * away.
 */
export const TTL_NOT_SET = 7 * 24 * HOUR_MS;

export type KeyType = "string" | "hash" | "sorted_set";

/** Names between braces in a template. */
export type ParameterOf<Template extends string> = Template extends `${string}{${infer Name}}${infer Rest}`
  ? Name | ParameterOf<Rest>
  : never;

/** One value for each name in the template, and no other. */
export type KeyParameters<Template extends string> = { readonly [Name in ParameterOf<Template>]: string | number };

export type KeyDefinition = {
  readonly name: string;
  readonly type: KeyType;
  /** What follows the prefix, with `{parameter}` where a value goes. */
  readonly template: string;
  /** Template of a hash's fields; only and always for a hash. */
  readonly fieldTemplate?: string;
  /** Milliseconds after the last write. */
  readonly ttlMs: number;
  /** What the key is for, for people. */
  readonly label: string;
};

type FieldTemplateOf<Definition> = Definition extends { readonly fieldTemplate: infer Template extends string }
  ? Template
  : never;

/** A definition that makes keys. */
export type DefinedKey<Definition extends KeyDefinition> = Definition & {
  readonly prefix: string;
  key(parameters: KeyParameters<Definition["template"]>): string;
  /** The field of a hash; other types have none. */
  readonly field: [FieldTemplateOf<Definition>] extends [never]
    ? null
    : (parameters: KeyParameters<FieldTemplateOf<Definition>>) => string;
};

/**
 * Makes a key's builder from its definition. Throws BECALM_ARGUMENT_INVALID for a definition that contradicts itself.
 */
export function defineKey<const Definition extends KeyDefinition>(
  definition: Definition,
  prefix = "",
): DefinedKey<Definition> {
  checkDefinition(definition);
  const { fieldTemplate } = definition;
  const field =
    fieldTemplate === undefined
      ? null
      : (parameters: Readonly<Record<string, string | number>>) => fill(fieldTemplate, parameters);
  return {
    ...definition,
    prefix,
    key: (parameters: Readonly<Record<string, string | number>>) => prefix + fill(definition.template, parameters),
    field,
  } as unknown as DefinedKey<Definition>;
}

/**
 * One check result list per series and level; also the name under which LAST_CHECKPOINTS remembers its newest point.
 */
const CHECK_RESULT_TEMPLATE = "check:{strategyId}:{itemId}:{dimensionsMd5}:{level}";

const DEFINITIONS = {
  STRATEGY_CHECKPOINT: {
    name: "STRATEGY_CHECKPOINT",
    type: "string",
    template: "group:{strategyGroupKey}:checkpoint",
    ttlMs: 1 * HOUR_MS,
    label: "time of the newest record that the strategy group has taken in",
  },
  ACCESS_RUN_TIMESTAMP: {
    name: "ACCESS_RUN_TIMESTAMP",
    type: "string",
    template: "group:{strategyGroupKey}:run",
    ttlMs: 1 * HOUR_MS,
    label: "when records of the strategy group were last taken in",
  },
  ACCESS_DUPLICATE: {
    name: "ACCESS_DUPLICATE",
    type: "sorted_set",
    template: "group:{strategyGroupKey}:seen",
    ttlMs: 10 * MINUTE_MS,
    label: "record ids of the last 10 intervals, scored by data time",
  },
  LAST_CHECKPOINTS: {
    name: "LAST_CHECKPOINTS",
    type: "hash",
    template: "last:{strategyId}:{itemId}",
    fieldTemplate: CHECK_RESULT_TEMPLATE,
    ttlMs: TTL_NOT_SET,
    label: "time of the newest point that each series and level has detected",
  },
  CHECK_RESULT: {
    name: "CHECK_RESULT",
    type: "sorted_set",
    template: CHECK_RESULT_TEMPLATE,
    ttlMs: 1 * HOUR_MS,
    label: "check results of one series and level, scored by data time",
  },
} as const satisfies Record<string, KeyDefinition>;

export type CheckpointKeyName = keyof typeof DEFINITIONS;

export const CHECKPOINT_KEY_NAMES = Object.keys(DEFINITIONS) as CheckpointKeyName[];

/**
 * How long the last 10 intervals of record ids must be kept: 10 minutes at an interval of one minute, longer for longer
 * ones.
 */
export function duplicateTtlMs(intervalSeconds: number): number {
  return Math.max(10 * intervalSeconds * SECOND_MS, DEFINITIONS.ACCESS_DUPLICATE.ttlMs);
}

export type KeyOverride = { readonly prefix?: string; readonly ttlMs?: number };

/** What a deployment may set for all keys, and for single ones by name; a single one's setting wins. */
export type KeyConfig = KeyOverride & { readonly keys?: { readonly [Name in CheckpointKeyName]?: KeyOverride } };

export type CheckpointKeys = { readonly [Name in CheckpointKeyName]: DefinedKey<(typeof DEFINITIONS)[Name]> };

/**
 * The table's keys with a configuration applied. Throws BECALM_ARGUMENT_INVALID for an unknown name or a life that is
 * none.
 */
export function registerKeysWithConfig(config: KeyConfig = {}): CheckpointKeys {
  if (typeof config !== "object" || config === null || Array.isArray(config))
    throw invalid("configuration", "is not an object", "give { prefix, ttlMs, keys }");
  const { keys = {}, ...forAll } = config;
  requireSettings("configuration", Object.keys(config), ["prefix", "ttlMs", "keys"]);
  for (const name of Object.keys(keys)) {
    if (!Object.hasOwn(DEFINITIONS, name))
      throw invalid(name, "is not a checkpoint key", `known are ${CHECKPOINT_KEY_NAMES.join(", ")}`);
  }
  for (const [name, settings] of Object.entries(keys))
    requireSettings(name, Object.keys(settings ?? {}), ["prefix", "ttlMs"]);
  const registered = CHECKPOINT_KEY_NAMES.map((name) => {
    const { prefix = "", ...settings } = { ...forAll, ...keys[name] };
    return [name, defineKey({ ...DEFINITIONS[name], ...settings } as KeyDefinition, prefix)];
  });
  return Object.fromEntries(registered) as CheckpointKeys;
}

/** A misspelt setting would be a life or a place that is silently another one. */
function requireSettings(what: string, names: readonly string[], known: readonly string[]): void {
  const unknown = names.find((name) => !known.includes(name));
  if (unknown !== undefined)
    throw invalid(what, `has the unknown setting ${JSON.stringify(unknown)}`, `use ${known.join(", ")}`);
}

function checkDefinition({ name, type, ttlMs, fieldTemplate }: KeyDefinition): void {
  if (!Number.isSafeInteger(ttlMs) || ttlMs <= 0)
    throw invalid(name, `has the life ${ttlMs}`, "give whole milliseconds above 0, or TTL_NOT_SET");
  if ((type === "hash") === (fieldTemplate !== undefined)) return;
  throw invalid(
    name,
    `is a ${type} ${fieldTemplate === undefined ? "without" : "with"} a field template`,
    "a hash has one, other types have none",
  );
}

function fill(template: string, parameters: Readonly<Record<string, string | number>>): string {
  return template.replace(/\{(\w+)\}/g, (_whole, name: string) => {
    const value = Object.hasOwn(parameters, name) ? parameters[name] : undefined;
    if (value === undefined || value === "")
      throw invalid(template, `needs the parameter ${name}`, "give it a text or number");
    return escapePart(String(value));
  });
}

/**
 * `:` parts a key and braces are a cluster's hash tag: escaped, no two sets of parameters share a key, and none can
 * choose its slot.
 */
function escapePart(part: string): string {
  return part.replace(/[%:{}\s]/g, (char) => encodeURIComponent(char));
}

function invalid(what: string, problem: string, remedy: string): BecalmError {
  return new BecalmError("BECALM_ARGUMENT_INVALID", `The checkpoint key ${what} ${problem}; ${remedy}.`);
}
