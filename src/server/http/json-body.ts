/** JSON bodies of the API v1: read, checked by a schema, and what the schema says of them. */
import type { z } from "zod";
import { HttpRefusal } from "./http-refusal.ts";
import type { BodyReader } from "./request-body.ts";
import type { Ctx } from "./route.ts";

/** Throws 415 unless the request's content type is one of `types`, and for a compressed body: nothing here unpacks. */
export function requireType(c: Ctx, types: readonly string[]): string {
  const encoding = (c.env.incoming.headers["content-encoding"] ?? "").trim().toLowerCase();
  if (encoding !== "" && encoding !== "identity") {
    const why = `The content encoding is ${JSON.stringify(encoding)}; send the body as it is, without Content-Encoding.`;
    throw new HttpRefusal(415, "BECALM_REQUEST_REFUSED", { why });
  }
  const type = (c.env.incoming.headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
  if (types.includes(type)) return type;
  const why = `The content type is ${JSON.stringify(type)}; send ${types.join(" or ")}.`;
  throw new HttpRefusal(415, "BECALM_REQUEST_REFUSED", { why });
}

/** The parsed body, whatever it is. */
export async function withJson<T>(c: Ctx, bodies: BodyReader, use: (value: unknown) => Promise<T>): Promise<T> {
  requireType(c, ["application/json"]);
  return bodies.withBody(c.env.incoming, (body) => use(parseJson(body.toString("utf8"))));
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = `The body is not JSON: ${(cause as Error).message.slice(0, 200)}.`;
    throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why });
  }
}

/** The value as the schema has it, or 400 with every mistake. */
export function checked<Schema extends z.ZodType>(schema: Schema, value: unknown): z.infer<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const mistakes = parsed.error.issues.map(
    ({ path, message }) => `${path.map(String).join(".") || "body"}: ${message}`,
  );
  throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", {
    why: `The body is invalid: ${mistakes.join("; ")}.`,
    details: { mistakes },
  });
}
