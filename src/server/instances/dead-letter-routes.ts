/** Attempts that were delivered again and again without a result, and wait for a person. */
import { z } from "zod";
import { deadLetterRow } from "../../present/dead-letter-row.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { checked, withJson } from "../http/json-body.ts";
import { json } from "../http/replies.ts";
import type { Ctx, Route } from "../http/route.ts";
import type { InstancePorts } from "./ports.ts";

const COUNT_MAX = 1_000;
const RESUME = z.object({ ids: z.array(z.string().min(1)).min(1).max(COUNT_MAX) });

export function deadLetterRoutes({ engine, bodies }: InstancePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/dead-letters",
      role: "read",
      summary: "Attempts that are set aside: delivered again and again, and never reported",
      query: [{ name: "limit", what: `how many, at most ${COUNT_MAX}`, type: "integer" }],
      answers: { 200: { what: "{ deadLetters }" } },
      handle: async (c) => json({ deadLetters: (await engine.deadLetters({ limit: limitOf(c) })).map(deadLetterRow) }),
    },
    {
      method: "POST",
      path: "/v1/dead-letters/resume",
      role: "operate",
      summary: "Delivers attempts that are set aside once more, under the same key",
      body: { schema: RESUME },
      answers: { 200: { what: "{ resumed }: the ids that were set aside" } },
      handle: (c) =>
        withJson(c, bodies, async (body) =>
          json({ resumed: await engine.resumeDeadLetters(checked(RESUME, body).ids) }),
        ),
    },
  ];
}

function limitOf(c: Ctx): number {
  const given = c.req.query("limit") ?? "100";
  const limit = Number(given);
  if (/^\d{1,4}$/.test(given) && limit >= 1 && limit <= COUNT_MAX) return limit;
  throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why: `limit is a whole number from 1 to ${COUNT_MAX}.` });
}
