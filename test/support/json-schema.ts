/** The keywords of JSON Schema 2020-12 that our schemas use; another keyword is an error, so that none is silently ignored. */
export type Schema = {
  readonly [keyword: string]: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly enum?: readonly unknown[];
};

type Check = (schema: Schema, value: unknown, root: Schema) => boolean;

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const number = (limit: unknown): number => limit as number;

function typeOf(value: unknown): string {
  if (value === null) return "null";
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

const ANNOTATIONS = new Set(["$schema", "$defs", "title", "description", "default", "examples", "format"]);

const CHECKS: Readonly<Record<string, Check>> = {
  $ref: (schema, value, root) => {
    const name = String(schema["$ref"]).replace("#/$defs/", "");
    return (
      schemaMistakes((root["$defs"] as Record<string, Schema>)[name] as Schema, value, { root, path: "" }).length === 0
    );
  },
  type: (schema, value) => {
    const types = [schema["type"]].flat();
    return types.includes(typeOf(value)) || (types.includes("number") && typeof value === "number");
  },
  enum: (schema, value) => schema.enum?.includes(value) ?? true,
  const: (schema, value) => schema["const"] === value,
  anyOf: (schema, value, root) =>
    (schema["anyOf"] as Schema[]).some((one) => schemaMistakes(one, value, { root, path: "" }).length === 0),
  pattern: (schema, value) => typeof value !== "string" || new RegExp(schema["pattern"] as string, "u").test(value),
  minLength: (schema, value) => typeof value !== "string" || value.length >= number(schema["minLength"]),
  minimum: (schema, value) => typeof value !== "number" || value >= number(schema["minimum"]),
  maximum: (schema, value) => typeof value !== "number" || value <= number(schema["maximum"]),
  minItems: (schema, value) => !Array.isArray(value) || value.length >= number(schema["minItems"]),
  maxItems: (schema, value) => !Array.isArray(value) || value.length <= number(schema["maxItems"]),
  uniqueItems: (_, value) => !Array.isArray(value) || new Set(value).size === value.length,
  items: (schema, value, root) =>
    !Array.isArray(value) ||
    value.every((item) => schemaMistakes(schema["items"] as Schema, item, { root, path: "" }).length === 0),
  minProperties: (schema, value) => !isMap(value) || Object.keys(value).length >= number(schema["minProperties"]),
  maxProperties: (schema, value) => !isMap(value) || Object.keys(value).length <= number(schema["maxProperties"]),
  required: (schema, value) => !isMap(value) || (schema["required"] as string[]).every((key) => key in value),
  properties: (schema, value, root) =>
    !isMap(value) ||
    Object.entries(schema.properties ?? {}).every(
      ([key, one]) => !(key in value) || schemaMistakes(one, value[key], { root, path: key }).length === 0,
    ),
  additionalProperties: (schema, value, root) => {
    const others = isMap(value) ? Object.entries(value).filter(([key]) => !(key in (schema.properties ?? {}))) : [];
    const rule = schema.additionalProperties;
    if (typeof rule !== "object") return rule !== false || others.length === 0;
    return others.every(([, item]) => schemaMistakes(rule, item, { root, path: "" }).length === 0);
  },
};

/** The keywords that a value breaks, as far as the outermost level tells; empty: the value is valid. */
export function schemaMistakes(
  schema: Schema,
  value: unknown,
  at: { root: Schema; path: string } = { root: schema, path: "" },
): string[] {
  return Object.keys(schema).filter((keyword) => {
    if (ANNOTATIONS.has(keyword)) return false;
    const check = CHECKS[keyword];
    if (check === undefined) throw new Error(`test/support/json-schema.ts does not know the keyword ${keyword}`);
    return !check(schema, value, at.root);
  });
}
