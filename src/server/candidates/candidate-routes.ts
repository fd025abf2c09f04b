/**
 * `POST /v1/candidates`: the mistakes of a policy file and, if it has none, what it would have done with what came in
 * lately. Nothing is changed.
 */
import { z } from "zod";
import { compose } from "../../compose.ts";
import { parsePolicies } from "../../formats/policy-file.ts";
import { parseDuration } from "../../model/duration.ts";
import { recordedDifference } from "../../recorded-difference.ts";
import { InstanceReader } from "../../runtime/instance-reader.ts";
import type { Store } from "../../stores/store.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { checked, withJson } from "../http/json-body.ts";
import { json } from "../http/replies.ts";
import type { BodyReader } from "../http/request-body.ts";
import { type Ctx, type Route, whenGone } from "../http/route.ts";
import { Turns } from "./turns.ts";

const CANDIDATE = z.object({
  policies: z.string().max(1_048_576),
  /** How far back: with it the difference is computed, without it only mistakes are looked for. */
  since: z.string().optional(),
  limit: z.number().int().min(1).max(1_000).optional(),
});

const SINCE_MS_MAX = 24 * 3_600_000;
const CHANGES_SHOWN_DEFAULT = 100;
/** Histories that are read for one answer. */
const READ_COUNT_MAX = 20_000;
const ANSWERED_WITHIN_MS = 20_000;

type Ports = { readonly store: Store; readonly bodies: BodyReader; readonly now: () => number };

export function candidateRoutes({ store, bodies, now }: Ports): Route[] {
  /** One at a time: it takes the processor from what is decided live. */
  let isBusy = false;
  return [
    {
      method: "POST",
      path: "/v1/candidates",
      role: "read",
      summary:
        "The mistakes of a policy file; with `since` (6h, at most 24h) what would have gone another way under it",
      body: { schema: CANDIDATE },
      answers: {
        200: { what: "{ mistakes }; with `since`, if there are none: { mistakes, summary, changes, more, ... }" },
      },
      handle: (c) =>
        withJson(c, bodies, async (body) => {
          const { policies, since, limit = CHANGES_SHOWN_DEFAULT } = checked(CANDIDATE, body);
          const { policySet, mistakes } = parsePolicies(policies, { file: "candidate" });
          if (since === undefined || mistakes.length > 0) return json({ mistakes });
          const sinceMs = durationOf(since);
          if (isBusy) throw busy("Another candidate is being tried.");
          isBusy = true;
          try {
            const turns = new Turns({ isGone: isGone(c), withinMs: ANSWERED_WITHIN_MS });
            const nowMs = now();
            const reader = new InstanceReader(await compose({ store }));
            const reach = { fromMs: nowMs - sinceMs, nowMs, readCountMax: READ_COUNT_MAX };
            const request = { set: policySet, ...reach, limit, between: () => turns.next() };
            return json({ mistakes, ...(await recordedDifference(reader, request)) });
          } finally {
            isBusy = false;
          }
        }),
    },
  ];
}

function durationOf(since: string): number {
  const ms = parseDuration(since);
  if (ms > 0 && ms <= SINCE_MS_MAX) return ms;
  throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why: `"since" is a duration up to 24h, such as "6h".` });
}

function busy(why: string): HttpRefusal {
  return new HttpRefusal(503, "BECALM_BUSY", { why: `${why} Try again in a moment.`, headers: { "retry-after": "5" } });
}

/** Tells whether the client has left. */
function isGone(c: Ctx): () => boolean {
  let hasLeft = false;
  whenGone(c, (isAnswered) => {
    hasLeft = !isAnswered;
  });
  return () => hasLeft;
}
