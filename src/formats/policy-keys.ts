/**
 * Every key that a policy file may have, by the map that has it. The reader refuses all others, and a test keeps
 * docs/schema/policies.schema.json equal to this table.
 */
export const POLICY_FILE_KEYS = {
  file: ["policies", "silences", "limits"],
  policy: [
    "name",
    "match",
    "action",
    "converge",
    "retry",
    "approval",
    "verify",
    "after_silence",
    "again",
    "mode",
    "limits",
    "on_resolved",
  ],
  action: ["log", "webhook", "exec", "handler"],
  log: [],
  webhook: ["url", "timeout", "headers", "method", "body", "callback", "sign", "secrets"],
  secret: ["file", "env"],
  exec: ["command", "timeout"],
  handler: ["name", "timeout"],
  converge: ["function", "by", "where", "count", "window", "max_window", "summary_delay"],
  retry: ["limit", "delay", "backoff"],
  approval: ["timeout", "notify", "quorum"],
  verify: ["resolved_within"],
  again: ["after", "limit"],
  limits: ["actions", "failures", "per"],
  silence: ["match", "from", "to", "author", "comment"],
} as const satisfies Record<string, readonly string[]>;
