/**
 * What rules make of a captured storm, worked out the slow and obvious way: every alert looks through all that came before it. It shares nothing with the
 * program. Only functions that never wait for a peer, and attempts that succeed at once.
 */

export type SlowRule = {
  readonly policy: string;
  readonly alertname: string;
  readonly function: "skip_when_exceed" | "collect" | "trigger";
  readonly by: string;
  readonly count: number;
  readonly windowMs: number;
};

export type SlowOutcome = { readonly state: "Success" | "Skipped"; readonly reason: string };

type Sent = {
  readonly status: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly startsAt: string;
  readonly endsAt: string;
};

type Activity = {
  readonly labels: Sent["labels"];
  readonly sentStart: string;
  readonly beganAtMs: number;
  end: { atMs: number; receivedAtMs: number } | null;
};

const LATE_MS = 60_000;

export function labelsText(labels: Sent["labels"]): string {
  const names = Object.keys(labels).sort();
  return names.map((name) => `${name}=${JSON.stringify(labels[name])}`).join(",");
}

/** The activities of a file of webhook bodies, in the order in which they began. */
export function activitiesOf(text: string): Activity[] {
  const all: Activity[] = [];
  for (const line of text.trim().split("\n")) {
    const { receivedAt, body } = JSON.parse(line) as { receivedAt: string; body: { alerts: Sent[] } };
    for (const sent of body.alerts) receive(all, sent, Date.parse(receivedAt));
  }
  return all;
}

function receive(all: Activity[], { status, labels, startsAt, endsAt }: Sent, atMs: number): void {
  const last = all.findLast((one) => labelsText(one.labels) === labelsText(labels));
  const isOpen = last !== undefined && last.end === null;
  if (status === "resolved") {
    if (isOpen && Date.parse(endsAt) >= Date.parse(last.sentStart))
      last.end = { atMs: Date.parse(endsAt), receivedAtMs: atMs };
    return;
  }
  if (isOpen) return;
  const ended = last?.end ?? null;
  if (ended !== null && Date.parse(startsAt) <= ended.atMs && atMs < ended.receivedAtMs + LATE_MS) return;
  all.push({ labels, sentStart: startsAt, beganAtMs: atMs, end: null });
}

type Decided = { readonly key: string; readonly atMs: number; readonly ran: boolean; isGrouped: boolean };
type Group = { readonly openedAtMs: number; executed: number };

/** What becomes of each activity that the rule is about, by `fingerprint start` as `nameOf` gives it. */
export function slowOutcomes(
  activities: readonly Activity[],
  rule: SlowRule,
  nameOf: (activity: Activity) => string,
): Map<string, SlowOutcome> {
  const outcomes = new Map<string, SlowOutcome>();
  const decided: Decided[] = [];
  const groups = new Map<string, Group>();
  for (const activity of activities) {
    if (activity.labels["alertname"] !== rule.alertname) continue;
    const key = activity.labels[rule.by] ?? "";
    const atMs = activity.beganAtMs;
    const open = groups.get(key);
    const group = open !== undefined && atMs <= open.openedAtMs + rule.windowMs ? open : null;
    const earlier = decided.filter(
      (one) => one.key === key && !one.isGrouped && one.atMs >= atMs - rule.windowMs && one.atMs <= atMs,
    );
    const opens = group === null && earlier.length + 1 >= rule.count;
    if (opens) {
      groups.set(key, { openedAtMs: atMs, executed: earlier.filter(({ ran }) => ran).length });
      for (const one of earlier) one.isGrouped = true;
    }
    const outcome = outcomeOf(rule, { group, opens });
    const ran = outcome.state === "Success";
    const own = groups.get(key);
    if ((group !== null || opens) && own !== undefined && ran) own.executed += 1;
    decided.push({ key, atMs, ran, isGrouped: group !== null || opens });
    outcomes.set(nameOf(activity), outcome);
  }
  return outcomes;
}

function outcomeOf(rule: SlowRule, { group, opens }: { group: Group | null; opens: boolean }): SlowOutcome {
  const run = (reason: string): SlowOutcome => ({ state: "Success", reason });
  const skip = (reason: string): SlowOutcome => ({ state: "Skipped", reason });
  if (opens) return run("group_opened");
  if (group === null) return rule.function === "trigger" ? skip("below_count") : run("below_count");
  if (rule.function === "trigger") return skip("already_triggered");
  if (group.executed < rule.count) return run("below_limit");
  return skip(rule.function === "collect" ? "collected" : "limit_reached");
}
