/** Four kinds of alerts, each with a policy that would show another mistake. */
export function chaosPolicies(targetUrl: string, version: 1 | 2): object[] {
  const action = { webhook: { url: targetUrl, timeout: "10s" } };
  const retry = { limit: 2, delay: "1s", backoff: version };
  const policy = (kind: string, more: object) => ({ name: kind, match: `kind="${kind}"`, action, retry, ...more });
  const converge = (fn: string, count: number) => ({ function: fn, by: ["host"], count, window: "20s" });
  return [
    policy("each", {}),
    policy("limited", { converge: converge("skip_when_exceed", LIMIT) }),
    policy("mutex", { converge: converge("wait_when_proceed", 1) }),
    policy("asked", { converge: converge("defense", 2), approval: { timeout: "2s", notify: action } }),
  ];
}

export const LIMIT = 3;
export const KINDS = ["each", "limited", "mutex", "asked"] as const;
