/** Who answers: the name of the token, or what the body says, marked as unproved. */
import { z } from "zod";
import { UNPROVED } from "../../model/person.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import type { Ctx } from "../http/route.ts";

const TEXT = z.string().trim().min(1).max(4_096);

export const WHO = z.object({ by: TEXT.optional(), why: TEXT });

export type Given = { readonly by?: string | undefined; readonly why: string };

export function whoOf(c: Ctx, { by, why }: Given): { by: string; why: string } {
  const { name } = c.get("caller");
  if (name !== null) return { by: name, why };
  if (by === undefined)
    throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why: "The body needs `by`: who acts." });
  return { by: `${by}${UNPROVED}`, why };
}
