/**
 * In which lane of the store a timer waits. What waits for somebody outside, or looks at the alert again: a virtual run
 * is done when only such timers are left.
 */
const WAITING: ReadonlySet<string> = new Set(["approval", "lease", "verify", "reconsider", "silence", "pause"]);

export function timerLane(name: string): "work" | "approval" {
  return WAITING.has(name) ? "approval" : "work";
}
