import { describe, expect, test } from "vitest";
import {
  CHECKPOINT_KEY_NAMES,
  defineKey,
  duplicateTtlMs,
  type KeyConfig,
  registerKeysWithConfig,
  TTL_NOT_SET,
} from "../../src/detection/core/checkpoint-keys.ts";

const HOUR_MS = 3_600_000;
const CODE = { code: "BECALM_ARGUMENT_INVALID" };
const keys = registerKeysWithConfig();
const SERIES = { strategyId: "cpu-busy", itemId: 1, dimensionsMd5: "d8c1", level: "critical" };

describe("the table of keys", () => {
  test("gives each key the life that it has always had", () => {
    const lives = CHECKPOINT_KEY_NAMES.map((name) => [name, keys[name].type, keys[name].ttlMs]);
    expect(lives).toEqual([
      ["STRATEGY_CHECKPOINT", "string", HOUR_MS],
      ["ACCESS_RUN_TIMESTAMP", "string", HOUR_MS],
      ["ACCESS_DUPLICATE", "sorted_set", HOUR_MS / 6],
      ["LAST_CHECKPOINTS", "hash", TTL_NOT_SET],
      ["CHECK_RESULT", "sorted_set", HOUR_MS],
    ]);
    expect(TTL_NOT_SET).toBe(7 * 24 * HOUR_MS);
  });

  test("keeps record ids for ten intervals, and never shorter than ten minutes", () => {
    expect([1, 60, 300].map(duplicateTtlMs)).toEqual([600_000, 600_000, 3_000_000]);
  });

  test("names the last check point of a series as the series' check results", () => {
    expect(keys.LAST_CHECKPOINTS.fieldTemplate).toBe(keys.CHECK_RESULT.template);
    expect(keys.LAST_CHECKPOINTS.field(SERIES)).toBe(keys.CHECK_RESULT.key(SERIES));
  });

  test("has a label and a template of its own for every key", () => {
    const templates = CHECKPOINT_KEY_NAMES.map((name) => keys[name].template);
    expect(new Set(templates).size).toBe(templates.length);
    expect(CHECKPOINT_KEY_NAMES.filter((name) => keys[name].label.length === 0 || keys[name].name !== name)).toEqual(
      [],
    );
  });
});

describe("a key's parameters", () => {
  test("are put into the template", () => {
    expect(keys.CHECK_RESULT.key(SERIES)).toBe("check:cpu-busy:1:d8c1:critical");
    expect(keys.STRATEGY_CHECKPOINT.key({ strategyGroupKey: "ab" })).toBe("group:ab:checkpoint");
  });

  test("never make the key of other parameters, nor choose a hash slot", () => {
    const key = (strategyId: string, itemId: string) => keys.CHECK_RESULT.key({ ...SERIES, strategyId, itemId });
    expect(key("a:b", "c")).not.toBe(key("a", "b:c"));
    expect(key("{x}", "y z")).toBe("check:%7Bx%7D:y%20z:d8c1:critical");
    expect(key("%3A", "c")).not.toBe(key(":", "c"));
  });

  test("that are missing or misspelt do not compile, and fail", () => {
    // @ts-expect-error one parameter is missing
    expect(() => keys.CHECK_RESULT.key({ strategyId: "a", itemId: 1, dimensionsMd5: "d" })).toThrow(
      expect.objectContaining(CODE),
    );
    // @ts-expect-error strategyID is no parameter
    expect(() => keys.LAST_CHECKPOINTS.key({ strategyID: "a", itemId: 1 })).toThrow(/needs the parameter strategyId/);
    // @ts-expect-error one parameter too many
    expect(keys.STRATEGY_CHECKPOINT.key({ strategyGroupKey: "a", level: "b" })).toBe("group:a:checkpoint");
    // @ts-expect-error the field of a hash needs all that its template names
    expect(() => keys.LAST_CHECKPOINTS.field({ strategyId: "a" })).toThrow(expect.objectContaining(CODE));
    // @ts-expect-error only a hash has fields
    expect(() => keys.CHECK_RESULT.field(SERIES)).toThrow(TypeError);
  });

  test("are typed from the template of any definition", () => {
    const definition = {
      name: "X",
      type: "string",
      ttlMs: 1,
      label: "x",
      template: "x:{one}:{two}",
    } as const;
    const key = defineKey(definition, "p:");
    expect(key.key({ one: 1, two: "b" })).toBe("p:x:1:b");
    // @ts-expect-error two is missing
    expect(() => key.key({ one: 1 })).toThrow(expect.objectContaining(CODE));
    expect(() => key.key({ one: 1, two: "" })).toThrow(expect.objectContaining(CODE));
  });
});

describe("registration from a configuration", () => {
  test("sets prefix and life for all keys, and a single key's own before them", () => {
    const configured = registerKeysWithConfig({
      prefix: "becalm:ns:",
      keys: { CHECK_RESULT: { ttlMs: 6 * HOUR_MS }, LAST_CHECKPOINTS: { prefix: "other:" } },
    });
    expect(configured.STRATEGY_CHECKPOINT.key({ strategyGroupKey: "g" })).toBe("becalm:ns:group:g:checkpoint");
    expect(configured.STRATEGY_CHECKPOINT).toMatchObject({ ttlMs: HOUR_MS });
    expect(configured.CHECK_RESULT).toMatchObject({ ttlMs: 6 * HOUR_MS });
    expect(configured.LAST_CHECKPOINTS.key({ strategyId: "s", itemId: 1 })).toBe("other:last:s:1");
  });

  test("refuses a setting that it does not have, instead of another life than was meant", () => {
    for (const config of [{ ttl: 5 }, { backend: "log" }, { keys: { CHECK_RESULT: { ttlms: 5 } } }])
      expect(() => registerKeysWithConfig(config as KeyConfig)).toThrow(expect.objectContaining(CODE));
  });

  test("leaves the table as it was", () => {
    registerKeysWithConfig({ ttlMs: 5, prefix: "x" });
    expect(registerKeysWithConfig().CHECK_RESULT).toMatchObject({ ttlMs: HOUR_MS, prefix: "" });
  });

  test.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])("refuses the life %d", (ttlMs) => {
    expect(() => registerKeysWithConfig({ keys: { CHECK_RESULT: { ttlMs } } })).toThrow(expect.objectContaining(CODE));
  });

  test("refuses a name that is no key, and says which there are", () => {
    // @ts-expect-error there is no such key
    expect(() => registerKeysWithConfig({ keys: { CHECK_RESULTS: {} } })).toThrow(
      /CHECK_RESULTS is not a checkpoint key.*CHECK_RESULT/,
    );
  });

  test("refuses a hash without fields and fields without a hash", () => {
    const definition = { name: "X", ttlMs: 1, label: "x", template: "x" } as const;
    expect(() => defineKey({ ...definition, type: "hash" })).toThrow(/without a field template/);
    expect(() => defineKey({ ...definition, type: "string", fieldTemplate: "f" })).toThrow(/with a field template/);
  });
});
