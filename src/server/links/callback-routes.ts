/**
 * `POST /v1/callbacks/{link}`: how an attempt ended that its target answered with 202. The link is the proof, so the
 * target needs no token; it is good for one attempt, until that attempt's timeout, and once: what comes later changes
 * nothing and is told so.
 */
import { z } from "zod";
import { cutText } from "../../effects/bounded-text.ts";
import type { EffectResult } from "../../effects/effect-port.ts";
import type { Engine } from "../../engine.ts";
import { errorCode } from "../../model/errors.ts";
import { EFFECT_RESULT_BYTES_MAX } from "../../model/limits.ts";
import { isoTime } from "../../present/time-text.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { checked } from "../http/json-body.ts";
import { json } from "../http/replies.ts";
import type { BodyReader } from "../http/request-body.ts";
import type { Ctx, Route } from "../http/route.ts";
import { CALLBACK_PATH, type CallbackClaim, type Links } from "./links.ts";

export type CallbackPorts = {
  readonly engine: Engine;
  readonly links: Links;
  readonly bodies: BodyReader;
  readonly now: () => number;
};

const BODY = z.object({ ok: z.boolean(), result: z.unknown().optional(), error: z.string().max(4_096).optional() });

export function callbackRoutes(ports: CallbackPorts): Route[] {
  return [
    {
      method: "POST",
      path: `${CALLBACK_PATH}{link}`,
      role: "open",
      summary: "Reports how an attempt ended; the link in it is its proof",
      query: [{ name: "ok", what: "how it ended, where the body says something else, or nothing", type: "boolean" }],
      body: { schema: BODY, what: "with `?ok=` anything, which is recorded" },
      answers: {
        200: { what: "it is recorded" },
        400: { what: "it does not say how the attempt ended" },
        403: { what: "the link was not made here" },
        409: { what: "the attempt is over already" },
        410: { what: "its timeout is over" },
      },
      handle: (c) => ports.bodies.withBody(c.env.incoming, (body) => take(c, ports, body.toString("utf8"))),
    },
  ];
}

async function take(c: Ctx, ports: CallbackPorts, body: string): Promise<Response> {
  const claim = ports.links.readCallback(c.req.param("link") ?? "");
  if (claim === null)
    throw new HttpRefusal(403, "BECALM_FORBIDDEN", { why: "This callback's address was not made by this server." });
  const { effect, untilMs } = claim;
  if (ports.now() >= untilMs) {
    const why = `The attempt could be reported until ${isoTime(untilMs)}; it counts as failed.`;
    throw new HttpRefusal(410, "BECALM_EVENT_REFUSED", { why });
  }
  if (!(await report(ports, claim, resultOf(c, body)))) {
    const why = `Attempt ${effect.attempt} of instance ${effect.instanceId} is over already; this changes nothing.`;
    throw new HttpRefusal(409, "BECALM_EVENT_REFUSED", { why });
  }
  return json({ instance: effect.instanceId, attempt: effect.attempt });
}

/** False: the attempt is over, or the instance is gone. */
async function report({ engine }: CallbackPorts, { effect }: CallbackClaim, result: EffectResult): Promise<boolean> {
  try {
    return await engine.complete(effect, result);
  } catch (error) {
    if (errorCode(error) === "BECALM_NOT_FOUND") return false;
    throw error;
  }
}

function resultOf(c: Ctx, body: string): EffectResult {
  const said = c.req.query("ok");
  if (said === "true") return { ok: true, result: kept(body) };
  if (said === "false") return failed("?ok=false", kept(body));
  if (said !== undefined) throw unclear(`?ok= is true or false, not ${JSON.stringify(said)}.`);
  const { ok, result, error } = checked(BODY, parsed(body));
  return ok ? { ok, result: kept(result) } : failed(error ?? "no reason was given", kept(result));
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body);
  } catch {
    throw unclear('The body must be { "ok": true | false, "result", "error" }; or say ?ok=true or ?ok=false.');
  }
}

/** Nothing is recorded: a guess could not be taken back. */
function unclear(why: string): HttpRefusal {
  return new HttpRefusal(400, "BECALM_REQUEST_REFUSED", { why });
}

function failed(error: string, result: unknown): EffectResult {
  return { ok: false, error: cutText(`The target reported a failure: ${error}`, 1_024), result };
}

/** As the audit keeps it: bounded. */
function kept(result: unknown): unknown {
  if (result === undefined || result === "") return null;
  const text = typeof result === "string" ? result : JSON.stringify(result);
  return Buffer.byteLength(text) <= EFFECT_RESULT_BYTES_MAX ? result : cutText(text, EFFECT_RESULT_BYTES_MAX);
}
