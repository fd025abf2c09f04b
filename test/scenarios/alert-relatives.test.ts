/**
 * Relatives of the public cases of test/data/cases/alerts: the same trouble a millisecond earlier or later, from another sender, in another
 * form. What is right follows from docs/alerts.md and docs/policies.md; each is played through the library, in virtual time.
 */
import { expect, test } from "vitest";
import type { PolicyDocument } from "../../src/formats/policy-document.ts";
import type { IngestInput } from "../../src/index.ts";
import { type VirtualRun, virtualRun } from "../../src/testing.ts";

const START_MS = Date.parse("2026-11-23T06:00:00Z");
const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const DAY = 24 * 60 * MINUTE;
const DOWN = { alertname: "Down", site: "s1" };

/** The time so long after the start. */
const at = (ms: number) => START_MS + ms;

type Times = { readonly startsAt?: number; readonly endsAt?: number };
type Labels = Readonly<Record<string, string>>;

const v2 = (times: Times = {}, labels: Labels = {}) => ({ labels: { ...DOWN, ...labels }, ...times });
const firing = (times: Times = {}, labels: Labels = {}) => ({ status: "firing", ...v2(times, labels) }) as const;
const resolved = (times: Times = {}, labels: Labels = {}) => ({ status: "resolved", ...v2(times, labels) }) as const;
/** The one before it, which opens its group. */
const opener = firing({ startsAt: at(0) }, { n: "opener" });

/** What is sent, in order; a number: so much time passes. */
type Storm = readonly (number | object | readonly object[])[];
type Right = { readonly states: Readonly<Record<string, number>>; readonly late?: number };
type Relative = readonly [what: string, policy: Partial<PolicyDocument>, storm: Storm, right: Right];

const DEFENSE = { converge: { function: "defense", by: ["site"], count: 1, window: "1h" } } as const;
const THIRD_TIME = { converge: { function: "defense", by: ["site"], count: 3, window: "10d" } } as const;
const FLEET = { converge: { function: "defense", by: ["site"], count: 5, window: "10m" } } as const;
const PODS = {
  converge: { function: "skip_when_exceed", by: ["namespace", "deployment"], count: 1, window: "30m" },
} as const;
const VERIFY = { verify: { resolved_within: "10m" } } as const;
const ISO = (ms: number) => new Date(at(ms)).toISOString();

/** Fires, and resolves a minute later; so long after it fired the next follows. */
function rounds(...gaps: readonly number[]): Storm {
  let now = 0;
  return gaps.flatMap((gap) => {
    const startsAt = at(now);
    now += gap;
    return [firing({ startsAt }), MINUTE, resolved(), gap - MINUTE];
  });
}

const hosts = (count: number) =>
  Array.from({ length: count }, (_, index) => firing({ startsAt: at(0) }, { host: `h${index}` }));

const repeated = (count: number, ...steps: Storm): Storm => Array.from({ length: count }, () => steps).flat();

const SENDERS: readonly Relative[] = [
  [
    "a pair, one of which restarts, and a webhook among them are one episode",
    {},
    [
      v2({ startsAt: at(0), endsAt: at(4 * MINUTE) }),
      15 * SECOND,
      v2({ startsAt: at(-8 * SECOND), endsAt: at(4 * MINUTE) }),
      2 * MINUTE,
      v2({ startsAt: at(2 * MINUTE), endsAt: at(7 * MINUTE) }),
      2 * MINUTE,
      firing({ startsAt: at(3 * MINUTE) }),
      60 * MINUTE,
      v2({ startsAt: at(0), endsAt: at(66 * MINUTE) }),
    ],
    { states: { Success: 1 } },
  ],
  [
    "what the second of a pair says within a minute of the first one's resolve is late, what it says then is not",
    {},
    [
      v2({ startsAt: at(0), endsAt: at(4 * MINUTE) }),
      MINUTE,
      v2({ startsAt: at(0), endsAt: at(MINUTE) }),
      30 * SECOND,
      v2({ startsAt: at(-8 * SECOND), endsAt: at(5 * MINUTE) }),
      30 * SECOND - 1,
      v2({ startsAt: at(-8 * SECOND), endsAt: at(5 * MINUTE) }),
      1,
      v2({ startsAt: at(-8 * SECOND), endsAt: at(6 * MINUTE) }),
    ],
    { states: { Success: 2 }, late: 2 },
  ],
  [
    "a resolve of a sender whose clock runs ahead is about a later end than it says",
    {},
    [
      firing({ startsAt: at(60 * MINUTE) }),
      5 * MINUTE,
      resolved({ startsAt: at(60 * MINUTE), endsAt: at(5 * MINUTE) }),
      1,
      firing({ startsAt: at(5 * MINUTE + 1) }),
    ],
    { states: { Success: 1 }, late: 1 },
  ],
  [
    "a resolve about an end before the episode takes no approval back",
    DEFENSE,
    [opener, v2({ startsAt: at(0), endsAt: at(10 * MINUTE) }), MINUTE, v2({ startsAt: at(-DAY), endsAt: at(-1) })],
    { states: { Success: 1, Waiting: 1 }, late: 1 },
  ],
  [
    "a resolve about an end at exactly the episode's start does",
    DEFENSE,
    [opener, v2({ startsAt: at(0), endsAt: at(10 * MINUTE) }), MINUTE, v2({ startsAt: at(-DAY), endsAt: at(0) })],
    { states: { Success: 1, Skipped: 1 } },
  ],
  [
    "a start that moves earlier and later over days is one episode",
    {},
    Array.from({ length: 20 }, (_, index) => [
      firing({ startsAt: at(-(index % 3) * 8 * SECOND) }),
      4 * 60 * MINUTE,
    ]).flat(),
    { states: { Success: 1 } },
  ],
  [
    "a resolve that names an earlier start than the first receipt takes the approval back",
    DEFENSE,
    [
      opener,
      firing({ startsAt: at(-SECOND) }),
      30 * SECOND,
      firing({ startsAt: at(-9 * SECOND) }),
      MINUTE,
      resolved({ startsAt: at(-9 * SECOND), endsAt: at(90 * SECOND) }),
    ],
    { states: { Success: 1, Skipped: 1 } },
  ],
  [
    "a start more than ten minutes after the last receipt shows a lost resolve, one at ten minutes does not",
    {},
    [
      firing({ startsAt: at(0) }),
      60 * MINUTE,
      firing({ startsAt: at(10 * MINUTE) }),
      11 * MINUTE,
      firing({ startsAt: at(70 * MINUTE) }),
      60 * MINUTE,
      firing({ startsAt: at(81 * MINUTE + 1) }),
    ],
    { states: { Success: 2 } },
  ],
];

const LEASES: readonly Relative[] = [
  [
    "an alert without a start that is resent every four minutes for an hour runs once",
    {},
    repeated(16, v2(), 4 * MINUTE),
    { states: { Success: 1 } },
  ],
  ["resent at exactly the end of its lease it goes on", {}, [v2(), 5 * MINUTE, v2()], { states: { Success: 1 } }],
  ["resent a millisecond later it fires again", {}, [v2(), 5 * MINUTE + 1, v2()], { states: { Success: 2 } }],
  [
    "an end that is still to come is a lease, not a resolve",
    DEFENSE,
    [opener, v2({ startsAt: at(0) }), MINUTE, v2({ endsAt: at(MINUTE + 1) })],
    { states: { Success: 1, Waiting: 1 } },
  ],
  [
    "the greatest lease counts",
    DEFENSE,
    [
      opener,
      v2({ startsAt: at(0), endsAt: at(20 * MINUTE) }),
      MINUTE,
      v2({ startsAt: at(0), endsAt: at(2 * MINUTE) }),
      18 * MINUTE,
    ],
    { states: { Success: 1, Waiting: 1 } },
  ],
  [
    "a lease that runs out takes the approval back",
    DEFENSE,
    [opener, v2({ startsAt: at(0), endsAt: at(6 * MINUTE) }), 6 * MINUTE + 1],
    { states: { Success: 1, Skipped: 1 } },
  ],
];

const RESOLVES: readonly Relative[] = [
  [
    "a resolve without any time takes the approval back",
    DEFENSE,
    [opener, firing({ startsAt: at(0) }), MINUTE, resolved()],
    { states: { Success: 1, Skipped: 1 } },
  ],
  [
    "a resolve of API v2 without a start does, too",
    DEFENSE,
    [opener, v2({ startsAt: at(0) }), MINUTE, v2({ endsAt: at(MINUTE) })],
    { states: { Success: 1, Skipped: 1 } },
  ],
  [
    "the same start is late for a minute after the resolve was received, whatever end it named, and fires again then",
    DEFENSE,
    [
      opener,
      firing({ startsAt: at(0) }),
      10 * MINUTE,
      resolved({ startsAt: at(0), endsAt: at(MINUTE) }),
      MINUTE - 1,
      firing({ startsAt: at(0) }),
      1,
      firing({ startsAt: at(0) }),
    ],
    { states: { Success: 1, Skipped: 1, Waiting: 1 }, late: 1 },
  ],
  [
    "a start after the end that a resolve named fires again at once, one at that end is late",
    {},
    [
      firing({ startsAt: at(0) }),
      10 * MINUTE,
      resolved({ startsAt: at(0), endsAt: at(MINUTE) }),
      1,
      firing({ startsAt: at(MINUTE) }),
      firing({ startsAt: at(MINUTE + 1) }),
    ],
    { states: { Success: 2 }, late: 1 },
  ],
  [
    "a sender without starts is late for a minute after its resolve",
    {},
    [firing(), 10 * MINUTE, resolved({ endsAt: at(10 * MINUTE) }), 30 * SECOND, firing(), 30 * SECOND, firing()],
    { states: { Success: 2 }, late: 1 },
  ],
  [
    "firing, resolved and firing again in one body are two episodes",
    {},
    [
      [
        firing({ startsAt: at(-MINUTE) }),
        resolved({ startsAt: at(-MINUTE), endsAt: at(-SECOND) }),
        firing({ startsAt: at(0) }),
      ],
    ],
    { states: { Success: 2 } },
  ],
  ["one that ends now has ended", {}, [v2({ startsAt: at(-MINUTE), endsAt: at(0) })], { states: {} }],
  [
    "with a status of its own it fires, whatever its end says",
    {},
    [firing({ startsAt: at(-MINUTE), endsAt: at(-MINUTE) })],
    { states: { Success: 1 } },
  ],
  [
    "without one in a webhook its end decides, then the webhook",
    {},
    [
      {
        status: "firing",
        alerts: [
          { labels: DOWN, startsAt: ISO(-MINUTE) },
          { labels: { ...DOWN, n: "2" }, startsAt: ISO(-MINUTE), endsAt: ISO(-1) },
        ],
      },
    ],
    { states: { Success: 1 } },
  ],
  [
    "resolves that are repeated while it fires again are late, and end nothing",
    DEFENSE,
    [
      opener,
      v2({ startsAt: at(0) }),
      2 * MINUTE,
      v2({ startsAt: at(0), endsAt: at(2 * MINUTE) }),
      2 * MINUTE,
      v2({ startsAt: at(3 * MINUTE), endsAt: at(30 * MINUTE) }),
      ...repeated(8, MINUTE, v2({ startsAt: at(0), endsAt: at(2 * MINUTE) })),
    ],
    { states: { Success: 1, Skipped: 1, Waiting: 1 }, late: 8 },
  ],
];

const SOLVED: readonly Relative[] = [
  [
    "one that fires on has failed",
    VERIFY,
    repeated(4, firing({ startsAt: at(0) }), 4 * MINUTE),
    { states: { Failed: 1 } },
  ],
  [
    "one that resolves a millisecond before the deadline is solved",
    VERIFY,
    [firing({ startsAt: at(0) }), 10 * MINUTE - 1, resolved()],
    { states: { Success: 1 } },
  ],
  ["one whose lease runs out is not solved", VERIFY, [v2(), 11 * MINUTE], { states: { Failed: 1 } }],
  [
    "a late resolve solves nothing",
    VERIFY,
    [firing({ startsAt: at(0) }), MINUTE, resolved({ endsAt: at(-MINUTE) }), 10 * MINUTE],
    { states: { Failed: 1 }, late: 1 },
  ],
  [
    "one that resolves while a retry is due is solved",
    { ...VERIFY, retry: { limit: 1, delay: "5m" } },
    [firing({ startsAt: at(0) }), 12 * MINUTE, resolved()],
    { states: { Success: 1 } },
  ],
  [
    "one that fires again after it was solved is another one",
    VERIFY,
    [firing({ startsAt: at(0) }), MINUTE, resolved(), 2 * MINUTE, firing({ startsAt: at(0) }), 11 * MINUTE],
    { states: { Success: 1, Failed: 1 } },
  ],
];

const RULES: readonly Relative[] = [
  [
    "the fourth time in ten days asks",
    THIRD_TIME,
    rounds(DAY, DAY, DAY, 2 * MINUTE),
    { states: { Success: 3, Skipped: 1 } },
  ],
  [
    "the first of three counts at exactly ten days, and opens the group with them",
    THIRD_TIME,
    [...rounds(5 * DAY, 5 * DAY, 2 * MINUTE), firing({ startsAt: at(10 * DAY + 2 * MINUTE) })],
    { states: { Success: 3, Waiting: 1 } },
  ],
  [
    "a millisecond later it does not",
    THIRD_TIME,
    [...rounds(5 * DAY, 5 * DAY + 1, 2 * MINUTE), firing({ startsAt: at(10 * DAY + 2 * MINUTE + 1) })],
    { states: { Success: 4 } },
  ],
  [
    "ten days after the third time a fourth still asks; later it is the first again",
    THIRD_TIME,
    rounds(DAY, DAY, 10 * DAY, 2 * MINUTE, 2 * MINUTE),
    { states: { Success: 4, Skipped: 1 } },
  ],
  [
    "an alert that stands thrice in a body counts once",
    FLEET,
    [[...hosts(1), ...hosts(1), ...hosts(2)]],
    { states: { Success: 2 } },
  ],
  ["a fleet one by one: five run, the others ask", FLEET, hosts(20), { states: { Success: 5, Waiting: 15 } }],
  [
    "those that ask are taken back when they resolve",
    FLEET,
    [hosts(20), MINUTE, hosts(20).map((one) => ({ ...one, status: "resolved" }))],
    { states: { Success: 5, Skipped: 15 } },
  ],
  [
    "a dimension that is missing is the empty one",
    PODS,
    [
      firing({}, { namespace: "a", pod: "1" }),
      firing({}, { namespace: "a", deployment: "", pod: "2" }),
      firing({}, { namespace: "a", deployment: "d", pod: "3" }),
    ],
    { states: { Success: 2, Skipped: 1 } },
  ],
  [
    "an alert with an empty label is the one without it",
    PODS,
    [firing({}, { namespace: "a" }), firing({}, { namespace: "a", deployment: "" })],
    { states: { Success: 1 } },
  ],
  [
    "a new pod is skipped until exactly the window's end",
    PODS,
    [firing({}, { pod: "1" }), 30 * MINUTE, firing({}, { pod: "2" }), 1, firing({}, { pod: "3" })],
    { states: { Success: 2, Skipped: 1 } },
  ],
];

test.each([...SENDERS, ...LEASES, ...RESOLVES, ...SOLVED, ...RULES])("%s", async (...[, policy, storm, right]) => {
  const policies = [{ name: "act", match: [], action: { log: {} }, ...policy }] as PolicyDocument[];
  await using run = await virtualRun({ policies, start: START_MS });
  let late = 0;
  for (const step of storm) {
    if (typeof step === "number") await run.advance(step);
    else late += await lateOf(run, step as IngestInput);
  }
  const { instances } = await run.list({ limit: 100 });
  const states: Record<string, number> = {};
  for (const { kind, state } of instances) if (kind === "action") states[state] = (states[state] ?? 0) + 1;
  expect({ states, late }).toEqual({ late: 0, ...right });
});

async function lateOf(run: VirtualRun, sent: IngestInput): Promise<number> {
  const { late, rejected } = await run.ingest(sent);
  expect(rejected).toEqual([]);
  return late;
}
