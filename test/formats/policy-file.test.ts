import { describe, expect, test } from "vitest";
import { loadPolicySet, type PolicyInput, parsePolicies, policySetFrom } from "../../src/formats/policy-file.ts";
import { BecalmError } from "../../src/model/errors.ts";

const EXAMPLE = `
policies:
  - name: disk-cleanup
    match: ['alertname=~"DiskAlmostFull|DiskFull"', 'severity!="info"']
    action: { webhook: { url: "http://127.0.0.1:9900/clean", timeout: 10s } }
    converge: { function: skip_when_success, by: [alertname, instance], count: 1, window: 5m, max_window: 30m }
    retry: { limit: 2, delay: 10s, backoff: 2 }
    approval: { timeout: 30m }
    on_resolved: skip
silences:
  - { match: ['cluster="edge"'], from: 2026-11-23T06:00:00Z, to: 2026-11-23T07:00:00Z, author: ops, comment: "rack move" }
`;

function load(text: string): ReturnType<typeof loadPolicySet> {
  return loadPolicySet(text, { file: "f.yaml" });
}

function mistakesOf(text: string): string[] {
  return parsePolicies(text, { file: "f.yaml" }).mistakes.map(({ message }) => message);
}

/** A file with one policy that is right but for what `fields` says. */
function policyWith(fields: string): string {
  return `policies:\n  - name: a\n    match: []\n    action: { log: {} }\n    ${fields}\n`;
}

describe("a policy file that is right", () => {
  test("is read with all that it says", () => {
    expect(load(EXAMPLE)).toEqual({
      policies: [
        {
          name: "disk-cleanup",
          version: expect.stringMatching(/^[0-9a-f]{16}$/),
          match: [
            { name: "alertname", operator: "=~", value: "DiskAlmostFull|DiskFull" },
            { name: "severity", operator: "!=", value: "info" },
          ],
          action: { kind: "webhook", url: "http://127.0.0.1:9900/clean", timeoutMs: 10_000, headers: {} },
          converge: {
            function: "skip_when_success",
            by: ["alertname", "instance"],
            count: 1,
            windowMs: 300_000,
            maxWindowMs: 1_800_000,
          },
          retry: { limit: 2, delayMs: 10_000, backoff: 2 },
          approval: { timeoutMs: 1_800_000, notify: { kind: "log" } },
          onResolved: "skip",
        },
      ],
      silences: [
        {
          match: [{ name: "cluster", operator: "=", value: "edge" }],
          fromMs: Date.parse("2026-11-23T06:00:00Z"),
          toMs: Date.parse("2026-11-23T07:00:00Z"),
          author: "ops",
          comment: "rack move",
        },
      ],
    });
  });

  test("has every default filled in", () => {
    const [policy] = load("policies: [{ name: a, match: [], action: { log: } }]").policies;
    expect(policy).toMatchObject({
      action: { kind: "log" },
      converge: null,
      retry: { limit: 0, delayMs: 10_000, backoff: 2 },
      approval: { timeoutMs: 1_800_000, notify: { kind: "log" } },
      onResolved: "skip",
    });
  });

  test.each([
    [
      "action: { exec: { command: [/bin/x, -a, ''] } }",
      { kind: "exec", command: ["/bin/x", "-a", ""], timeoutMs: 60_000 },
    ],
    ["action: { handler: { name: clean, timeout: 2h } }", { kind: "handler", name: "clean", timeoutMs: 7_200_000 }],
    [
      "action: { webhook: { url: 'https://h/', headers: { x-key: k } } }",
      { kind: "webhook", url: "https://h/", headers: { "x-key": "k" }, timeoutMs: 60_000 },
    ],
  ])("may act by %s", (action, expected) => {
    expect(load(`policies: [{ name: a, match: [], ${action} }]`).policies[0]?.action).toEqual(expected);
  });

  test("may send approval requests elsewhere than to its action", () => {
    const set = load(policyWith("approval: { notify: { handler: { name: page } } }"));
    expect(set.policies[0]?.approval).toEqual({
      timeoutMs: 1_800_000,
      notify: { kind: "handler", name: "page", timeoutMs: 60_000 },
    });
    expect(mistakesOf(policyWith("approval: { notify: { handler: {} } }"))).toEqual([
      expect.stringMatching(/approval\.notify\.handler\.name/),
    ]);
  });

  test("may verify, decide again, observe, ask several people and brake", () => {
    const fields = [
      "verify: { resolved_within: 10m }",
      "again: { after: 11m, limit: 3 }",
      "after_silence: skip",
      "mode: observe",
      "limits: { failures: 5, per: 1m }",
      "approval: { quorum: 2 }",
    ];
    const set = load(`limits: { actions: 50, per: 10m }\n${policyWith(fields.join("\n    "))}`);
    expect(set.limits).toEqual({ actions: 50, perMs: 600_000 });
    expect(set.policies[0]).toMatchObject({
      verify: { resolvedWithinMs: 600_000 },
      again: { afterMs: 660_000, limit: 3 },
      afterSilence: "skip",
      mode: "observe",
      limits: { failures: 5, perMs: 60_000 },
      approval: { quorum: 2 },
    });
    expect(policySetFrom(set)).toEqual(set);
  });

  test("has the version that it always had while it says none of these, and says the default in any way", () => {
    const [plain] = load(policyWith("retry: { limit: 1 }")).policies;
    const [same] = load(
      policyWith("retry: { limit: 1 }\n    after_silence: decide\n    mode: act\n    approval: { quorum: 1 }"),
    ).policies;
    expect(same).toEqual(plain);
    expect(Object.keys(plain ?? {}).sort()).toEqual(
      ["action", "approval", "converge", "match", "name", "onResolved", "retry", "version"].sort(),
    );
  });

  test("may be JSON, indented by tabs or not", () => {
    const json = { policies: [{ name: "a", match: ['x="1"'], action: { log: {} } }] };
    expect(load(JSON.stringify(json))).toEqual(load(JSON.stringify(json, null, "\t")));
    expect(load(JSON.stringify(json))).toEqual(policySetFrom(json));
  });

  test("may share values by anchors", () => {
    const [a, b] = load(`
policies:
  - { name: a, match: &all ['x="1"'], action: &act { log: {} } }
  - { name: b, match: *all, action: *act }
`).policies;
    expect(b?.match).toEqual(a?.match);
  });

  test("takes numbers as allowed values, several matchers in a text, and times with quotes or an offset", () => {
    const set = load(`
policies:
  - { name: a, match: '{x="1", y=~"2"}', action: { log: {} }, converge: { function: collect, where: { shard: [1, "2"] }, window: 90s, summary_delay: 0 } }
silences:
  - { match: 'x="1"', from: "2026-11-23T06:00:00+08:00", to: 2026-11-23T06:00:00.5Z, author: a, comment: b }
`);
    expect(set.policies[0]?.match).toHaveLength(2);
    expect(set.policies[0]?.converge).toEqual({
      function: "collect",
      where: { shard: [1, "2"] },
      count: 1,
      windowMs: 90_000,
      summaryDelayMs: 0,
    });
    expect(set.silences[0]).toMatchObject({
      fromMs: Date.parse("2026-11-22T22:00:00Z"),
      toMs: Date.parse("2026-11-23T06:00:00.500Z"),
    });
  });
});

describe("the version of a policy", () => {
  const version = (text: string): string | undefined => load(text).policies[0]?.version;

  test("does not depend on comments, the order of keys, or defaults that are spelled out", () => {
    const bare = version("policies: [{ name: a, match: [], action: { log: {} } }]");
    expect(
      version("# c\npolicies: [{ action: { log: {} }, retry: { limit: 0 }, on_resolved: skip, match: [], name: a }]"),
    ).toBe(bare);
  });

  test("changes with everything that the policy says", () => {
    const texts = [
      "",
      "on_resolved: keep",
      "retry: { limit: 1 }",
      "approval: { timeout: 1m }",
      "converge: { function: trigger, window: 1m }",
    ];
    expect(new Set(texts.map((text) => version(policyWith(text)))).size).toBe(texts.length);
  });
});

describe("a policy file with mistakes", () => {
  test("is told all of them at once, each with its line, key, what was expected and what was found", () => {
    const text = `policies:
  - name: a b
    match: ['x=~"("']
    action: { log: {}, webhook: { url: "ftp://x" } }
    converge: { function: trigger, count: 0, window: 5m, max_window: 1m, max_windw: 3m }
  - name: c
    mach: []
    action: { exec: { command: [] } }
`;
    expect(mistakesOf(text)).toEqual([
      expect.stringMatching(/^f\.yaml:2:11: policies\[0\]\.name: expected a name of letters.*, found "a b"$/),
      expect.stringMatching(/^f\.yaml:3:13: policies\[0\]\.match\[0\]: expected a matcher.*missing closing \)/),
      expect.stringMatching(/^f\.yaml:4:13: policies\[0\]\.action: expected exactly one of .*, found log and webhook$/),
      expect.stringMatching(
        /^f\.yaml:4:40: policies\[0\]\.action\.webhook\.url: expected an http:\/\/ or https:\/\/ URL, found "ftp:\/\/x"$/,
      ),
      expect.stringMatching(
        /^f\.yaml:5:43: policies\[0\]\.converge\.count: expected a whole number from 1 to 10000, found 0$/,
      ),
      expect.stringMatching(
        /^f\.yaml:5:70: policies\[0\]\.converge\.max_window: expected at least the window, 5m, found "1m"$/,
      ),
      expect.stringMatching(
        /^f\.yaml:5:74: policies\[0\]\.converge\.max_windw: expected the key max_window, found the unknown key "max_windw"$/,
      ),
      expect.stringMatching(/^f\.yaml:6:5: policies\[1\]\.match: expected a list of matchers.*, found nothing$/),
      expect.stringMatching(/^f\.yaml:7:5: policies\[1\]\.mach: expected the key match, found the unknown key "mach"$/),
      expect.stringMatching(
        /^f\.yaml:8:32: policies\[1\]\.action\.exec\.command: expected a program and its arguments.*found an empty list$/,
      ),
    ]);
  });

  test.each([
    ["name: a", /YAML or JSON, found Map keys must be unique/],
    ["retry: { limit: 1.5 }", /retry\.limit: expected a whole number from 0 to 100, found 1\.5/],
    ["retry: { delay: 10 }", /retry\.delay: .*did you mean 10s\?/],
    ["retry: 3", /retry: expected a map with the keys limit, delay, backoff, found 3/],
    ["approval: { timeout: 0 }", /approval\.timeout: expected a duration from 1ms to 31d, found 0/],
    ["on_resolved: kep", /expected one of skip, keep \(did you mean keep\?\), found "kep"/],
    ["converge: { window: 5m }", /converge\.function: expected one of .*, found nothing/],
    ["converge: { function: skip_when_sucess, window: 5m }", /did you mean skip_when_success\?/],
    ["converge: { function: collect }", /converge\.window: expected a duration .*, found nothing/],
    [
      "converge: { function: trigger, window: 32d }",
      /converge\.window: expected a duration from 1ms to 31d, found "32d"/,
    ],
    [
      "converge: { function: trigger, windowMs: 5000, window: 5s }",
      /expected the key window, found the unknown key "windowMs"/,
    ],
    ["converge: { function: trigger, window: 5m, summary_delay: 1s }", /only collect and collect_alarm send summaries/],
    [
      "converge: { function: trigger, window: 5m, by: instance }",
      /converge\.by: expected a list of labels' names, found "instance"/,
    ],
    ["converge: { function: trigger, window: 5m, by: [a, a] }", /expected each label once, found "a" twice/],
    [
      "converge: { function: trigger, window: 5m, where: { a: [true] } }",
      /where\.a\[0\]: expected text or a number.*found true/,
    ],
    ["converge: { function: trigger, window: 5m, where: { a: [] } }", /at least one allowed value/],
    ["converge: { function: trigger, window: 5m, count: 10001 }", /from 1 to 10000, found 10001/],
  ])("%s", (fields, message) => {
    expect(mistakesOf(policyWith(fields))).toEqual([expect.stringMatching(message)]);
  });

  test.each([
    [
      "policies: [{ name: a, match: [], action: { webhook: { url: 'http://h', timeout: 3h } } }]",
      /timeout: expected a duration from 1ms to 2h/,
    ],
    [
      "policies: [{ name: a, match: [], action: { webhook: { url: 'http://h', headers: { 'a b': x } } } }]",
      /a header's name/,
    ],
    [
      "policies: [{ name: a, match: [], action: { webhook: { url: 'http://h', headers: { a: \"x\\ny\" } } } }]",
      /in one line/,
    ],
    ["policies: [{ name: a, match: [], action: {} }]", /exactly one of .*, found none of them/],
    ["policies: [{ name: a, match: [], action: { log: { level: info } } }]", /log\.level: expected no keys/],
    [
      "policies: [{ name: a, match: [], action: { exec: { command: [x, 1] } } }]",
      /command\[1\]: expected an argument as text/,
    ],
    ["policies: [{ name: a, match: ['x'], action: { log: {} } }]", /match\[0\]: .*one of = != =~ !~/],
    [
      "policies: [{ name: a, match: [], action: { log: {} } }, { name: a, match: [], action: { log: {} } }]",
      /policies\[1\]\.name: expected a name that no other policy has, found "a", as policies\[0\]\.name/,
    ],
    ["policies: [x]", /policies\[0\]: expected a map with the keys name, .*found "x"/],
    ["policies: x", /policies: expected a list of policies, found "x"/],
    ["polices: []\npolicies: []", /polices: expected the key policies/],
    ["silences: []", /policies: expected a list of policies, found nothing/],
    ["", /an empty file/],
    ["# only a comment\n", /an empty file/],
    ["[]", /expected a map with the keys policies, silences, limits, found an empty list/],
    ["policies: [", /f\.yaml:1:\d+: expected YAML or JSON/],
    ["policies: []\n---\npolicies: []", /one document, found 2/],
    ["policies: !!js/function x", /Unresolved tag/],
    ["policies: *gone", /names no anchor/],
    ["policies: &a [*a]", /nested deeper than 32/],
  ])("%s", (text, message) => {
    expect(mistakesOf(text)).toContainEqual(expect.stringMatching(message));
  });

  test.each([
    ["from: 2026-11-23T07:00:00Z, to: 2026-11-23T07:00:00Z, author: a, comment: b", /to: expected a time after `from`/],
    ["from: tomorrow, to: 2026-11-23T07:00:00Z, author: a, comment: b", /from: expected a time such as/],
    [
      "from: 2026-11-23T06:00:00Z, to: 2026-11-23T07:00:00Z, comment: b",
      /author: expected who silences, found nothing/,
    ],
    ["from: 2026-11-23T06:00:00Z, to: 2026-11-23T07:00:00Z, author: a, comment: ''", /comment: expected why/],
  ])("a silence with %s", (fields, message) => {
    expect(mistakesOf(`policies: []\nsilences: [{ match: ['a="1"'], ${fields} }]`)).toEqual([
      expect.stringMatching(message),
    ]);
  });

  test("a silence that would silence everything is a mistake", () => {
    const fields = "match: [], from: 2026-11-23T06:00:00Z, to: 2026-11-23T07:00:00Z, author: a, comment: b";
    expect(mistakesOf(`policies: []\nsilences: [{ ${fields} }]`)).toEqual([
      expect.stringMatching(/at least one matcher/),
    ]);
  });

  test.each([
    [`['team=~".*"']`, false],
    [`['team=""']`, false],
    [`['team=~"|a"', 'zone=""']`, false],
    [`['team=~".*"', 'site="north"']`, true],
    [`['team=~".+"']`, true],
    [`['team!=""']`, true],
    [`['zone!~"lab.+"']`, true],
  ])("a silence of %s is taken as Alertmanager takes it: %s", (match, isTaken) => {
    const fields = "from: 2026-11-23T06:00:00Z, to: 2026-11-23T07:00:00Z, author: a, comment: b";
    const mistakes = mistakesOf(`policies: []\nsilences: [{ match: ${match}, ${fields} }]`);
    expect(mistakes).toEqual(isTaken ? [] : [expect.stringMatching(/does not match the empty text/)]);
  });

  test.each([
    ['policies:\n  - name: "a\n    match: []\n    action: { log: {} }\n  - name: b\n    match: []\n', "2:11"],
    ["policies:\n  - name: a\n    match: ['x=1]\n    action: { log: {} }\n  - name: b\n", "3:13"],
  ])("a quote that is not closed is placed where it was opened: %j", (text, place) => {
    expect(mistakesOf(text)[0]).toMatch(new RegExp(`^f\\.yaml:${place}: .*Missing closing`));
  });

  test("that expands its aliases without end is refused, quickly", () => {
    const levels = ["a: &l0 [1,1,1,1,1,1,1,1,1]"];
    for (let i = 1; i <= 9; i += 1)
      levels.push(
        `k${i}: &l${i} [${Array(9)
          .fill(`*l${i - 1}`)
          .join(",")}]`,
      );
    expect(mistakesOf(`${levels.join("\n")}\npolicies: *l9`)).toEqual([
      expect.stringMatching(/more than 200000 values/),
    ]);
  });

  test("fails to load with one error that lists them", () => {
    const text = policyWith("retry: { limit: -1, delay: x }");
    expect(() => load(text)).toThrow(BecalmError);
    expect(() => load(text)).toThrow(/f\.yaml has 2 mistakes[\s\S]*\n {2}f\.yaml:5:21: [\s\S]*\n {2}f\.yaml:5:32: /);
    expect(() => load(text)).toThrow(
      expect.objectContaining({
        code: "BECALM_POLICY_INVALID",
        details: { file: "f.yaml", mistakes: expect.any(Array) },
      }),
    );
  });
});

describe("policies that a program gives", () => {
  const plain = { name: "a", match: ['x="1"'], action: { log: {} }, converge: undefined };

  test("may be a list, or an object of the file's form, with Dates for times", () => {
    expect(policySetFrom([plain]).policies[0]?.name).toBe("a");
    const silence = { match: ['x="1"'], from: new Date(0), to: new Date(1), author: "a", comment: "b" };
    expect(policySetFrom({ policies: [plain], silences: [silence] }).silences[0]).toMatchObject({ fromMs: 0, toMs: 1 });
  });

  test("may have been parsed before, whole or as a bare list", () => {
    const set = load(EXAMPLE);
    expect(policySetFrom(set)).toEqual(set);
    expect(policySetFrom(set.policies)).toEqual({ policies: set.policies, silences: [] });
    expect(policySetFrom({ policies: [], silences: [] })).toEqual({ policies: [], silences: [] });
  });

  test("are refused with all mistakes, by path", () => {
    expect(() => policySetFrom([{ ...plain, retry: { limit: -1 } }, plain])).toThrow(
      /policies has 2 mistakes[\s\S]*policies\[0\]\.retry\.limit[\s\S]*policies\[1\]\.name/,
    );
    expect(() => policySetFrom(null as unknown as PolicyInput)).toThrow(
      /expected a map with the keys policies, silences/,
    );
    expect(() => policySetFrom([{ ...plain, converge: () => 1 }] as unknown as PolicyInput)).toThrow(/converge/);
    const loop: unknown[] = [];
    loop.push(loop);
    expect(() => policySetFrom(loop as PolicyInput)).toThrow(/nested deeper/);
  });
});
