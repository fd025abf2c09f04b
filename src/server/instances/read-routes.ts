/** `POST /v1/read`: the reading calls of the store, for commands that name a server instead of a store. */
import { z } from "zod";
import { errorCode, messageOf } from "../../model/errors.ts";
import type { Policy } from "../../policy/policy.ts";
import type { Processes } from "../../stores/processes.ts";
import { PROCESS_READ_CALLS, READ_CALLS } from "../../stores/server/read-calls.ts";
import type { PolicyRecord, Store } from "../../stores/store.ts";
import { mayActAs } from "../auth/tokens.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { checked, withJson } from "../http/json-body.ts";
import { json } from "../http/replies.ts";
import type { BodyReader } from "../http/request-body.ts";
import type { Route } from "../http/route.ts";
import { withoutSecrets } from "./policy-routes.ts";

const CALLS = [...READ_CALLS, ...PROCESS_READ_CALLS] as const;
const REQUEST = z.object({ call: z.enum(CALLS), given: z.array(z.unknown()).max(2) });

export function readRoutes({ store, bodies }: { store: Store; bodies: BodyReader }): Route[] {
  return [
    {
      method: "POST",
      path: "/v1/read",
      role: "read",
      summary: "Looks into the store: what `becalm COMMAND --server` asks",
      body: { schema: REQUEST },
      answers: { 200: { what: "{ result }" } },
      handle: (c) =>
        withJson(c, bodies, async (body) => {
          const { call, given } = checked(REQUEST, body);
          const result = await read(store, call, given);
          const isSecret = call === "policies" && !mayActAs(c.get("caller"), "admin");
          return json({ result: isSecret ? hidden(result as StoredPolicies) : plain(result) });
        }),
    },
  ];
}

/**
 * A namespace is never made from here, whatever is asked. What a driver cannot read as arguments is the caller's
 * mistake.
 */
async function read(store: Store, call: (typeof CALLS)[number], given: readonly unknown[]): Promise<unknown> {
  const ask = callOf(store, call);
  // Where there can be only one process, none is listed.
  if (ask === null) return [];
  try {
    return await (call === "open" ? ask({}) : ask(...given));
  } catch (error) {
    if (errorCode(error) !== undefined) throw error;
    const why = `The arguments of ${call} are invalid: ${messageOf(error)}.`;
    throw new HttpRefusal(400, "BECALM_ARGUMENT_INVALID", { why });
  }
}

type Ask = (...given: readonly unknown[]) => Promise<unknown>;

function callOf(store: Store, call: (typeof CALLS)[number]): Ask | null {
  const { processes } = store;
  const [of, name] = call.split(".") as [keyof Store, keyof Processes | undefined];
  if (name !== undefined) return processes === null ? null : (processes[name] as Ask).bind(processes);
  return (store[of] as Ask).bind(store);
}

/** Maps travel as lists of their entries. */
function plain(result: unknown): unknown {
  if (result instanceof Map) return [...(result as Map<string, unknown>)];
  if (typeof result !== "object" || result === null || Array.isArray(result)) return result;
  return Object.fromEntries(
    Object.entries(result).map(([name, value]) => [
      name,
      value instanceof Map ? [...(value as Map<string, unknown>)] : (value as unknown),
    ]),
  );
}

type StoredPolicies = readonly PolicyRecord[];

function hidden(records: StoredPolicies): StoredPolicies {
  return records.map(withoutPolicySecrets);
}

/** Headers and addresses of webhooks may hold secrets, which only an admin sees. */
export function withoutPolicySecrets({ key, value }: PolicyRecord): PolicyRecord {
  const policy = JSON.parse(value) as Policy;
  const { approval } = policy;
  const shown = {
    ...policy,
    action: withoutSecrets(policy.action),
    approval: { ...approval, notify: withoutSecrets(approval.notify) },
  };
  return { key, value: JSON.stringify(shown) };
}
