/**
 * The rules in force, and every rule that an instance was made under. Secrets in headers and addresses are not shown.
 */
import { matcherSource } from "../../policy/matcher-source.ts";
import type { Action, Policy } from "../../policy/policy.ts";
import { HttpRefusal } from "../http/http-refusal.ts";
import { json } from "../http/replies.ts";
import type { Route } from "../http/route.ts";
import type { InstancePorts } from "./ports.ts";

export function policyRoutes({ engine, policies }: InstancePorts): Route[] {
  return [
    {
      method: "GET",
      path: "/v1/policies",
      role: "read",
      summary: "The policies in force",
      answers: { 200: { what: "{ policies, next }" } },
      handle: () => json({ policies: policies().map(({ policy }) => policyJson(policy)), next: null }),
    },
    {
      method: "GET",
      path: "/v1/policies/{reference}",
      role: "read",
      summary: "One version of a policy, `name@version`; without a version the one in force",
      answers: { 200: { what: "the policy" } },
      handle: async (c) => {
        const reference = c.req.param("reference") ?? "";
        const policy = await engine.policy(reference);
        if (policy !== null) return json(policyJson(policy));
        const why = `Unknown policy ${JSON.stringify(reference)}. GET /v1/policies lists those in force.`;
        throw new HttpRefusal(404, "BECALM_NOT_FOUND", { why });
      },
    },
  ];
}

function policyJson(policy: Policy): object {
  return {
    ...policy,
    match: policy.match.map((matcher) => matcherSource(matcher)),
    action: withoutSecrets(policy.action),
    approval: { ...policy.approval, notify: withoutSecrets(policy.approval.notify) },
  };
}

const HIDDEN = "[hidden]";

/**
 * Values of headers, what an address says besides scheme, host and path, and a body, which may hold a key of its
 * target.
 */
export function withoutSecrets(action: Action): object {
  if (action.kind !== "webhook") return action;
  const headers = Object.fromEntries(Object.keys(action.headers).map((name) => [name, HIDDEN]));
  const body = action.body === undefined ? {} : { body: HIDDEN };
  return { ...action, url: bareUrl(action.url), headers, ...body };
}

function bareUrl(url: string): string {
  if (!URL.canParse(url)) return HIDDEN;
  const { protocol, host, pathname, search } = new URL(url);
  return `${protocol}//${host}${pathname}${search === "" ? "" : `?${HIDDEN}`}`;
}
