/**
 * Brakes: how many attempts, and failed ones, a policy or the whole namespace may have within some time.
 *
 * The times are counted in one record of partition 0. A batch that is about to begin attempts adds them there first, by
 * compare-and-set, so no two processes take the same last one; a batch whose commit then loses has counted attempts
 * that it did not begin, which brakes a little early and never late. Failed attempts are counted after the commit of
 * their result (brake-duties.ts). Nothing of this is asked or written where no policy in force says `limits`.
 */
import type { Brake, Decision } from "../../instance/decision.ts";
import { formatDuration } from "../../model/duration.ts";
import type { PauseNote } from "../../model/instance-types.ts";
import type { Limits } from "../../policy/policy.ts";
import { type Retrying, untilWritten } from "../commit/back-off.ts";
import type { PoliciesInForce, Runtime } from "../runtime.ts";

/** Beside the records of episodes; no alert's key begins so. */
const BRAKES_KEY = "!brakes";
const ENGINE = "becalm";

/** Times in ms, oldest first, by scope; of the namespace under the empty text. */
type Times = { readonly actions: readonly number[]; readonly failures: readonly number[] };
type Counted = Readonly<Record<string, Times>>;

/**
 * `by`: unique to each writing. Two processes that count at one moment would else write the same text, and the second
 * would find its own there.
 */
type Stored = { readonly by: string; readonly counted: Counted };

export type Braking = Pick<Runtime, "store" | "inForce" | "commitId">;

/** What a batch may still begin, and what that was read from. */
export type BrakeRead = { readonly brakes: readonly Brake[]; readonly text: string | null; readonly atMs: number };

export const NO_BRAKES: BrakeRead = { brakes: [], text: null, atMs: 0 };

export function hasBrakes({ limits, policies, foreignBrakes }: PoliciesInForce): boolean {
  if (foreignBrakes !== undefined) return foreignBrakes.length > 0;
  return limits !== undefined || policies.some(({ policy }) => policy.limits !== undefined);
}

/** How many attempts may still begin at `atMs`, by scope. */
export async function readBrakes(from: Braking, atMs: number): Promise<BrakeRead> {
  const text = await recordOf(from);
  const counted = decode(text);
  const brakes = scopesOf(from.inForce).flatMap(({ scope, limits }): Brake[] => {
    if (limits.actions === undefined) return [];
    const attemptsLeft = limits.actions - within(counted[scope ?? ""]?.actions, atMs - limits.perMs).length;
    return [{ attemptsLeft: Math.max(attemptsLeft, 0), pause: pauseFor("actions", { scope, limits }, atMs) }];
  });
  return { brakes, text, atMs };
}

/**
 * Counts the attempts that a decision begins. False: somebody else has counted meanwhile, and it must be decided again.
 */
export async function countAttempts(from: Braking, read: BrakeRead, { attempts }: Decision): Promise<boolean> {
  if (read.brakes.length === 0 || attempts.size === 0) return true;
  let total = 0;
  for (const count of attempts.values()) total += count;
  const added = scopesOf(from.inForce).map(({ scope, limits }) => {
    const count = scope === null ? total : (attempts.get(scope) ?? 0);
    return { scope, limits, actions: Array.from({ length: count }, () => read.atMs), failures: [] };
  });
  return write(from, read.text, added);
}

/** Counts failed attempts. Gives the pauses that begin with them; null: somebody else has counted meanwhile. */
export async function countFailures(from: Braking, failed: readonly FailedAttempt[]): Promise<PauseNote[] | null> {
  const text = await recordOf(from);
  const added = scopesOf(from.inForce).map(({ scope, limits }) => {
    const own = failed.filter(({ policy }) => scope === null || policy === scope);
    return { scope, limits, actions: [], failures: own.map(({ atMs }) => atMs) };
  });
  if (!(await write(from, text, added))) return null;
  const counted = decode(text);
  return added.flatMap(({ scope, limits, failures }) => {
    if (failures.length === 0 || limits.failures === undefined) return [];
    const atMs = Math.max(...failures);
    const count = within([...(counted[scope ?? ""]?.failures ?? []), ...failures], atMs - limits.perMs).length;
    return count > limits.failures ? [pauseFor("failures", { scope, limits }, atMs)] : [];
  });
}

/** A person goes on: what was counted so far is past. */
export async function releaseBrake(from: Braking & Retrying, scope: string | null): Promise<void> {
  await untilWritten(from, "what the brakes have counted", async () => {
    const expected = await recordOf(from);
    if (expected === null) return true;
    const { [scope ?? ""]: _, ...others } = decode(expected);
    const stored: Stored = { by: from.commitId(), counted: others };
    const writes = [{ key: BRAKES_KEY, expected, value: JSON.stringify(stored) }];
    return (await from.store.renewEpisodes({ partition: 0, writes })) === "applied";
  });
}

type Added = Times & ScopedLimits;

async function write({ store, commitId }: Braking, text: string | null, added: readonly Added[]): Promise<boolean> {
  const counted: Record<string, Times> = { ...decode(text) };
  for (const { scope, limits, actions, failures } of added) {
    const known = counted[scope ?? ""] ?? { actions: [], failures: [] };
    const sinceMs = Math.max(...actions, ...failures, 0) - limits.perMs;
    counted[scope ?? ""] = {
      actions: [...within(known.actions, sinceMs), ...actions].slice(-(limits.actions ?? 0) - 1),
      failures: [...within(known.failures, sinceMs), ...failures].slice(-(limits.failures ?? 0) - 1),
    };
  }
  const stored: Stored = { by: commitId(), counted };
  const writes = [{ key: BRAKES_KEY, expected: text, value: JSON.stringify(stored) }];
  return (await store.renewEpisodes({ partition: 0, writes })) === "applied";
}

async function recordOf({ store }: Braking): Promise<string | null> {
  const request = { partition: 0, groupId: null, instanceIds: [], episodeKeys: [BRAKES_KEY] };
  return (await store.load(request)).episodes.get(BRAKES_KEY) ?? null;
}

function decode(text: string | null): Counted {
  return text === null ? {} : (JSON.parse(text) as Stored).counted;
}

function within(times: readonly number[] | undefined, sinceMs: number): readonly number[] {
  return (times ?? []).filter((atMs) => atMs > sinceMs);
}

function scopesOf(inForce: PoliciesInForce): readonly ScopedLimits[] {
  return inForce.foreignBrakes ?? ownBrakes(inForce);
}

/** Those that the policies in force say. */
export function ownBrakes({ limits, policies }: PoliciesInForce): ScopedLimits[] {
  const own = policies.flatMap(({ policy }) =>
    policy.limits === undefined ? [] : [{ scope: policy.name, limits: policy.limits }],
  );
  return limits === undefined ? own : [{ scope: null, limits }, ...own];
}

/** `scope`: a policy; null: everything. */
export type ScopedLimits = { readonly scope: string | null; readonly limits: Limits };

function pauseFor(what: "actions" | "failures", { scope, limits }: ScopedLimits, atMs: number): PauseNote {
  const why = `the brake: more than ${limits[what]} ${what === "actions" ? "actions" : "failed attempts"} within ${formatDuration(limits.perMs)}`;
  return { by: ENGINE, why, sinceMs: atMs, scope };
}

export type FailedAttempt = { readonly policy: string; readonly atMs: number };

/** Attempts of actions that have failed, and those that solved nothing. */
export function failuresIn({ entries, instances }: Decision): FailedAttempt[] {
  const actions = new Map(instances.map(({ instance }) => [instance.id, instance]));
  return entries.flatMap(({ instance: id, entry: { event } }) => {
    const instance = actions.get(id);
    const isFailure = event.type === "effect.failed" || (event.type === "timer.elapsed" && event.timer === "verify");
    if (!isFailure || instance === undefined || instance.kind !== "action") return [];
    return [{ policy: instance.policy, atMs: event.atMs }];
  });
}
