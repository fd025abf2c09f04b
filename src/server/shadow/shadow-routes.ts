/**
 * `GET /v1/shadow`: what would have gone another way under the candidate that runs beside the policies in force.
 * Nothing is changed.
 */
import type { Engine } from "../../engine.ts";
import { parseDuration } from "../../model/duration.ts";
import { BecalmError } from "../../model/errors.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { json } from "../http/replies.ts";
import { type Ctx, type Route, whenGone } from "../http/route.ts";

const CHANGES_SHOWN_DEFAULT = 100;
const CHANGES_SHOWN_MAX = 20_000;
const ANSWERED_WITHIN_MS = 20_000;

type Ports = { readonly engine: Engine; readonly now: () => number };

export function shadowRoutes({ engine, now }: Ports): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/shadow",
      role: "read",
      summary: "What would have gone another way under the shadow (`becalm serve --shadow`) than was decided",
      query: [
        { name: "since", what: "a time, or a duration such as 6h; default: since it is the shadow, at most 24h" },
        { name: "limit", what: "changes that are answered, those that matter first; default 100", type: "integer" },
      ],
      answers: {
        200: { what: "{ since, summary, policies, changes, more, shadow, ... }" },
        404: { what: "this server has no shadow" },
        503: { what: "it takes too long" },
      },
      handle: async (c) => {
        if (engine.status().shadow === undefined)
          throw new HttpRefusal(404, "BECALM_NOT_FOUND", {
            why: "This server has no shadow. Start it with `becalm serve --shadow FILE`.",
          });
        const { since, limit } = c.req.query();
        const request = { sinceMs: sinceOf(since, now()), limit: limitOf(limit) };
        return json(await engine.shadow({ ...request, signal: signalOf(c) }));
      },
    },
  ];
}

function sinceOf(since: string | undefined, nowMs: number): number | undefined {
  if (since === undefined) return undefined;
  const atMs = /^\d{4}-/.test(since) ? Date.parse(since) : nowMs - durationOf(since);
  if (Number.isFinite(atMs) && atMs >= 0) return atMs;
  throw refusedSince();
}

function durationOf(since: string): number {
  try {
    return parseDuration(since);
  } catch (error) {
    if (error instanceof BecalmError) throw refusedSince();
    throw error;
  }
}

function refusedSince(): HttpRefusal {
  const why = `"since" is a time such as 2026-11-23T06:00:00Z, or a duration such as 6h.`;
  return new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why });
}

function limitOf(limit: string | undefined): number {
  if (limit === undefined) return CHANGES_SHOWN_DEFAULT;
  const count = Number(limit);
  if (/^\d{1,6}$/.test(limit) && count <= CHANGES_SHOWN_MAX) return count;
  const why = `"limit" is a whole number from 0 to ${CHANGES_SHOWN_MAX}.`;
  throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why });
}

/** Aborted when the client has left, or it takes too long. */
function signalOf(c: Ctx): AbortSignal {
  const controller = new AbortController();
  const end = (code: "BECALM_STOPPED" | "BECALM_BUSY", why: string) =>
    controller.abort(new HttpRefusal(503, code, { why }));
  const timer = setTimeout(() => {
    end(
      "BECALM_BUSY",
      "This takes too long. Give a later `since`, or run `becalm diff --from-store` beside the store.",
    );
  }, ANSWERED_WITHIN_MS);
  whenGone(c, () => {
    clearTimeout(timer);
    end("BECALM_STOPPED", "The client has left.");
  });
  return controller.signal;
}
