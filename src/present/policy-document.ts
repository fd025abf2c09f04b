/** A policy as a policy file says it: what was stored, in the words that a person wrote. */
import { formatDuration } from "../model/duration.ts";
import type { Matcher } from "../policy/matcher.ts";
import type { Action, Limits, Policy } from "../policy/policy.ts";

export const HIDDEN = "(hidden)";

/** `headers`: `hide` them, for they hold secrets, or `show` them, and the file makes the same version again. */
export function policyDocument(policy: Policy, headers: "hide" | "show"): Record<string, unknown> {
  const { name, match, converge, retry, approval, onResolved, verify, afterSilence, again, mode, limits } = policy;
  return present({
    name,
    match: match.map(matcherText),
    action: actionDocument(policy.action, headers),
    converge:
      converge === null
        ? undefined
        : present({
            function: converge.function,
            by: converge.by,
            where: converge.where,
            count: converge.count,
            window: formatDuration(converge.windowMs),
            max_window: converge.maxWindowMs === undefined ? undefined : formatDuration(converge.maxWindowMs),
            summary_delay: converge.summaryDelayMs === undefined ? undefined : formatDuration(converge.summaryDelayMs),
          }),
    retry: { limit: retry.limit, delay: formatDuration(retry.delayMs), backoff: retry.backoff },
    approval: present({
      timeout: formatDuration(approval.timeoutMs),
      notify: actionDocument(approval.notify, headers),
      quorum: approval.quorum,
    }),
    verify: verify === undefined ? undefined : { resolved_within: formatDuration(verify.resolvedWithinMs) },
    after_silence: afterSilence,
    again: again === undefined ? undefined : { after: formatDuration(again.afterMs), limit: again.limit },
    mode,
    limits: limits === undefined ? undefined : limitsDocument(limits),
    on_resolved: onResolved,
  });
}

function actionDocument(action: Action, headers: "hide" | "show"): Record<string, unknown> {
  switch (action.kind) {
    case "log":
      return { log: {} };
    case "webhook": {
      const shown = Object.entries(action.headers).map(([name, value]) => [name, headers === "show" ? value : HIDDEN]);
      return {
        webhook: present({
          url: action.url,
          timeout: formatDuration(action.timeoutMs),
          headers: shown.length === 0 ? undefined : Object.fromEntries(shown),
          method: action.method,
          body: action.body === undefined || headers === "show" ? action.body : HIDDEN,
          callback: action.callback,
          sign: action.sign,
          secrets: action.secrets,
        }),
      };
    }
    case "exec":
      return { exec: { command: action.command, timeout: formatDuration(action.timeoutMs) } };
    case "handler":
      return { handler: { name: action.name, timeout: formatDuration(action.timeoutMs) } };
  }
}

function limitsDocument({ actions, failures, perMs }: Limits): Record<string, unknown> {
  return present({ actions, failures, per: formatDuration(perMs) });
}

/** Quoted so that Alertmanager's first parser reads it as it is. */
function matcherText({ name, operator, value }: Matcher): string {
  const escaped = value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
  const named = /^[A-Za-z_:][A-Za-z0-9_:]*$/.test(name) ? name : JSON.stringify(name);
  return `${named}${operator}"${escaped}"`;
}

function present(fields: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
}
