/** The emergency stop: of the namespace, or with `?policy=` of one policy. */
import { z } from "zod";
import type { PauseNote } from "../../engine.ts";
import { isoTime } from "../../present/time-text.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { checked, withJson } from "../http/json-body.ts";
import { json } from "../http/replies.ts";
import type { Ctx, Parameter, Route } from "../http/route.ts";
import type { InstancePorts } from "./ports.ts";
import { WHO, whoOf } from "./who.ts";

const POLICY: Parameter = { name: "policy", what: "only this policy; left out: everything" };
const PAUSE = WHO.extend({ policy: z.string().min(1).optional() });

export function pauseRoutes({ engine, bodies }: InstancePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/pause",
      role: "read",
      summary: "The pauses that hold",
      answers: { 200: { what: "{ pauses }" } },
      handle: async () => json({ pauses: (await engine.pauses()).map(pauseJson) }),
    },
    {
      method: "PUT",
      path: "/v1/pause",
      role: "operate",
      summary: "Pauses everything, or one policy",
      query: [POLICY],
      body: { schema: PAUSE },
      answers: {
        200: { what: "the pause" },
        404: { what: "there is no such policy" },
        409: { what: "it is paused already" },
      },
      handle: (c) =>
        withJson(c, bodies, async (body) => {
          const given = checked(PAUSE, body);
          return json(pauseJson(await engine.pause({ ...whoOf(c, given), ...scopeOf(c, given.policy) })));
        }),
    },
    {
      method: "DELETE",
      path: "/v1/pause",
      role: "operate",
      summary: "Lifts a pause; what it held stays held, is decided again, or is denied",
      query: [
        POLICY,
        { name: "decide", what: "decide what it held, in order of arrival", type: "boolean" },
        { name: "deny", what: "deny what it held", type: "boolean" },
        { name: "by", what: "who lifts it, where there is no body" },
        { name: "why", what: "the reason, where there is no body" },
      ],
      body: { schema: PAUSE },
      answers: { 200: { what: "{ lifted, decided }" }, 404: { what: "nothing is paused" } },
      handle: (c) => {
        const lift = async (body: unknown) => {
          const given = checked(PAUSE, body);
          const held = heldOf(c);
          const { lifted, decided } = await engine.resume({ ...whoOf(c, given), ...scopeOf(c, given.policy), held });
          return json({ lifted: lifted === null ? null : pauseJson(lifted), decided });
        };
        return hasBody(c) ? withJson(c, bodies, lift) : lift(whoInQuery(c));
      },
    },
  ];
}

/** Some clients send no body with DELETE. */
function hasBody(c: Ctx): boolean {
  const { headers } = c.env.incoming;
  return headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
}

function whoInQuery(c: Ctx): object {
  return { by: c.req.query("by"), why: c.req.query("why") };
}

function scopeOf(c: Ctx, inBody: string | undefined): { policy?: string } {
  const policy = inBody ?? c.req.query("policy");
  return policy === undefined || policy === "" ? {} : { policy };
}

function heldOf(c: Ctx): "keep" | "decide" | "deny" {
  const [decide, deny] = [c.req.query("decide") === "true", c.req.query("deny") === "true"];
  if (decide && deny) throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why: "Say decide or deny, not both." });
  return decide ? "decide" : deny ? "deny" : "keep";
}

function pauseJson({ by, why, sinceMs, scope }: PauseNote): object {
  return { by, why, since: isoTime(sinceMs), policy: scope };
}
