import fc from "fast-check";
import { expect, test } from "vitest";
import { virtualRun } from "../../src/testing.ts";
import { SlowStops, type SlowStopsRules } from "../support/slow-stops-model.ts";

/**
 * Verify, pause, brake and quorum, over random sequences of alerts, answers, pauses and time: after every one the engine
 * in virtual time says of each instance what a slow model says that was written apart.
 */
const RUNS = Number(process.env["BECALM_STOPS_RUNS"] ?? 40);
const START_MS = Date.parse("2026-11-23T06:00:00Z");
const SECOND = 1_000;
const MINUTE = 60 * SECOND;

type Move =
  | { readonly kind: "fires"; readonly alert: string }
  | { readonly kind: "resolves"; readonly alert: string }
  | { readonly kind: "grants"; readonly target: number; readonly by: string }
  | { readonly kind: "denies" | "cancels" | "runsAnyway" | "ends"; readonly target: number }
  | { readonly kind: "pauses" }
  | { readonly kind: "resumes"; readonly how: "keep" | "decide" | "deny" }
  | { readonly kind: "passes"; readonly ms: number };

const alert = fc.constantFrom("a", "b", "c", "d", "e");
const target = fc.nat({ max: 11 });
const moves: fc.Arbitrary<Move[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.record({ kind: fc.constant("fires" as const), alert }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant("resolves" as const), alert }) },
    {
      weight: 4,
      arbitrary: fc.record({ kind: fc.constant("grants" as const), target, by: fc.constantFrom("ann", "bob", "eve") }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constantFrom("denies", "cancels", "runsAnyway", "ends"), target }),
    },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant("pauses" as const) }) },
    {
      weight: 2,
      arbitrary: fc.record({ kind: fc.constant("resumes" as const), how: fc.constantFrom("keep", "decide", "deny") }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        kind: fc.constant("passes" as const),
        ms: fc.constantFrom(1, 7 * SECOND, 61 * SECOND, 2 * MINUTE + 3, 5 * MINUTE + 1, 11 * MINUTE),
      }),
    },
  ),
  { maxLength: 40, size: "max" },
);

const rules: fc.Arbitrary<SlowStopsRules> = fc.record({
  isDefended: fc.boolean(),
  windowMs: fc.constant(4 * MINUTE),
  retryLimit: fc.nat({ max: 2 }),
  retryDelayMs: fc.constant(10 * SECOND),
  verifyMs: fc.constantFrom(null, 90 * SECOND),
  approvalMs: fc.constant(5 * MINUTE),
  quorum: fc.integer({ min: 1, max: 3 }),
  isKept: fc.boolean(),
  limits: fc.option(
    fc.record({
      actions: fc.integer({ min: 1, max: 4 }),
      failures: fc.integer({ min: 1, max: 3 }),
      perMs: fc.constant(10 * MINUTE),
    }),
  ),
});

/** Which attempts fail, by letter and number. */
const outcomes = fc.array(fc.boolean(), { minLength: 20, maxLength: 20 });

function policiesOf({
  isDefended,
  windowMs,
  retryLimit,
  retryDelayMs,
  verifyMs,
  approvalMs,
  quorum,
  isKept,
  limits,
}: SlowStopsRules) {
  return {
    ...(limits === null
      ? {}
      : { limits: { actions: limits.actions, failures: limits.failures, per: `${limits.perMs}ms` } }),
    policies: [
      {
        name: "act",
        match: ['alertname=~".+"'],
        action: { handler: { name: "act" } },
        ...(isDefended ? { converge: { function: "defense", by: [], count: 1, window: `${windowMs}ms` } } : {}),
        retry: { limit: retryLimit, delay: `${retryDelayMs}ms`, backoff: 2 },
        ...(verifyMs === null ? {} : { verify: { resolved_within: `${verifyMs}ms` } }),
        approval: { timeout: `${approvalMs}ms`, quorum },
        on_resolved: isKept ? "keep" : "skip",
      },
    ],
  };
}

async function play(given: SlowStopsRules, storm: readonly Move[], results: readonly boolean[]): Promise<void> {
  const isOk = (name: string, attempt: number) => results[(name.charCodeAt(0) * 4 + attempt) % results.length] === true;
  const model = new SlowStops(given, START_MS, isOk);
  await using run = await virtualRun({
    policies: policiesOf(given) as never,
    start: START_MS,
    handlers: {
      act: ({ alert: of, attempt }) => {
        if (!isOk(of?.labels["alertname"] ?? "", attempt)) throw new Error("no");
      },
    },
  });
  const ids: string[] = [];
  model.idOf = (at) => ids[at] ?? "";
  const began = new Map<string, string>();
  const receive = async (name: string, status: "firing" | "resolved") => {
    const at = new Date(run.nowMs).toISOString();
    // A sender repeats the start of what goes on firing.
    const startsAt = began.get(name) ?? at;
    const sent = { labels: { alertname: name }, status, startsAt, ...(status === "resolved" ? { endsAt: at } : {}) };
    if (model.isFiring(name)) began.set(name, startsAt);
    else began.delete(name);
    const { instances } = await run.ingest([sent]);
    for (const { id } of instances) if (!ids.includes(id)) ids.push(id);
  };
  const accepted = (done: Promise<unknown>) =>
    done.then(
      () => true,
      (error: { code?: string }) => {
        if (error.code === "BECALM_EVENT_REFUSED" || error.code === "BECALM_NOT_FOUND") return false;
        throw error;
      },
    );
  const take = async (move: Move): Promise<[boolean, boolean] | null> => {
    if (move.kind === "fires" || move.kind === "resolves") {
      model[move.kind](move.alert);
      await receive(move.alert, move.kind === "fires" ? "firing" : "resolved");
      return null;
    }
    if (move.kind === "passes") {
      model.timePasses(move.ms);
      await run.advance(move.ms);
      return null;
    }
    if (move.kind === "pauses") return [await accepted(run.pause({ by: "ann", why: "stop" })), model.stops("ann")];
    if (move.kind === "resumes") {
      const answers: [boolean, boolean] = [
        await accepted(run.resume({ by: "ann", why: "go", held: move.how })),
        model.resumes(move.how),
      ];
      // A pause that begins in the millisecond in which the one before it held somebody asks about that one, too.
      model.timePasses(1);
      await run.advance(1);
      return answers;
    }
    if (ids.length === 0) return null;
    const at = move.target % ids.length;
    const id = ids[at] as string;
    const who = { by: "by" in move ? move.by : "ann", why: "x" };
    if (move.kind === "grants") return [await accepted(run.approve({ id }, who)), model.grants(at, move.by)];
    if (move.kind === "denies") return [await accepted(run.deny({ id }, who)), model.denies(at)];
    if (move.kind === "cancels")
      return [await accepted(run.get(id).send({ type: "cancel", ...who })), model.cancels(at)];
    if (move.kind === "ends") return [await accepted(run.get(id).send({ type: "end", ...who })), model.ends(at)];
    return [await accepted(run.get(id).send({ type: "start", approved: true, ...who })), model.runsAnyway(at)];
  };
  for (const [index, move] of storm.entries()) {
    const answers = await take(move);
    const what = `after ${index}: ${JSON.stringify(move)}`;
    if (answers !== null) expect(answers[0], what).toBe(answers[1]);
    const snapshots = await Promise.all(ids.map((id) => run.get(id).snapshot()));
    const rows = snapshots.map(({ state, reason, attempt, labels }) => ({
      alert: labels?.["alertname"],
      state,
      reason,
      attempts: attempt,
    }));
    expect(rows, what).toEqual(model.rows);
    const { instances } = await run.list({ limit: 200 });
    const asked = instances.filter(({ kind, group }) => kind === "approval-request" && group === null);
    const aboutPauses = (await Promise.all(asked.map(({ id }) => run.get(id).history()))).filter(
      ({ birth: { notice } }) => notice?.kind === "approval-request" && notice.pause !== undefined,
    );
    expect(aboutPauses.length, what).toBe(model.requests.size);
  }
}

const RETRIED_ONCE: SlowStopsRules = {
  isDefended: false,
  windowMs: 4 * MINUTE,
  retryLimit: 1,
  retryDelayMs: 10 * SECOND,
  verifyMs: null,
  approvalMs: 5 * MINUTE,
  quorum: 1,
  isKept: false,
  limits: { actions: 1, failures: 1, perMs: 10 * MINUTE },
};
const ALL_FAIL = Array.from({ length: 20 }, () => false);

test.each([
  { isKept: false, what: "skipped" },
  { isKept: true, what: "run under on_resolved: keep" },
])("a retry that was held after its alert had ended is $what when the pause is lifted", async ({ isKept }) => {
  const storm: Move[] = [
    { kind: "fires", alert: "e" },
    { kind: "resolves", alert: "e" },
    { kind: "passes", ms: 11 * MINUTE },
    { kind: "resumes", how: "decide" },
  ];
  await play({ ...RETRIED_ONCE, isKept }, storm, ALL_FAIL);
});

test("held once more, it is another question: who granted the first one may grant this one", async () => {
  const storm: Move[] = [
    { kind: "fires", alert: "d" },
    { kind: "fires", alert: "a" },
    { kind: "passes", ms: 11 * MINUTE },
    { kind: "grants", target: 0, by: "ann" },
    { kind: "resumes", how: "decide" },
    { kind: "grants", target: 0, by: "ann" },
  ];
  await play({ ...RETRIED_ONCE, quorum: 2 }, storm, ALL_FAIL);
});

test("verify, pause, brake and quorum do what a model that was written apart says", {
  timeout: Math.max(120_000, RUNS * 150),
}, async () => {
  await fc.assert(fc.asyncProperty(rules, moves, outcomes, play), {
    numRuns: RUNS,
  });
});
