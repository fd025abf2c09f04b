/**
 * What an operator should know of a live namespace: what cannot be read, and what nothing will move. Whatever is not at
 * rest has an effect in the outbox, a timer, or a peer that moves it; what has none is damage, or the doing of a
 * version before this one.
 */
import type { Instance } from "../instance/checkpoint.ts";
import { decodeEffect } from "../instance/effect.ts";
import { formatDuration } from "../model/duration.ts";
import { BecalmError } from "../model/errors.ts";
import { INSTANCE_STATES } from "../model/instance-types.ts";
import { ownersOf } from "../model/rendezvous.ts";
import type { Finding, StoreClock, StoredEffect } from "../stores/store.ts";
import { tryInstance } from "./commit/read-instance.ts";
import { readMembers } from "./owners/membership.ts";
import type { Runtime } from "./runtime.ts";

const PAGE_COUNT = 500;
/** So many of a kind are looked at: a storm has more, and what is wrong with many shows in these. */
const LOOKED_COUNT_MAX = 10_000;
/** A timer is taken up within a second; one that waits for so long has nobody who fires it, or cannot be committed. */
const OVERDUE_MS = 60_000;
/** So long after its commit an attempt has begun, unless all are busy or a pause holds it. */
const WAITS_LONG_MS = 10 * 60_000;
const SHOWN_ID_COUNT = 3;
/** More in an inbox than its process takes in a moment. */
const LETTERS_MAX = 64;
/** A clock that is further off is worth a word, and beyond the engine's bound it stops. */
const SKEW_MS = 1_000;

/** `nowMs`: of this process. */
export async function healthOf(runtime: Runtime, nowMs: number): Promise<Finding[]> {
  const open = await openInstances(runtime);
  const effects = await runtime.store.listEffects({ limit: LOOKED_COUNT_MAX });
  return [
    ...(await processes(runtime)),
    unreadable(open),
    await overdueTimers(runtime, nowMs),
    waitingEffects(effects, nowMs),
    await setAside(runtime),
    await unclaimable(runtime),
    unmoved(open, effects),
  ];
}

/**
 * Who shares the partitions, and what waits in their inboxes. Nothing where there can be only one, or where nobody may
 * ask.
 */
async function processes({ store, partitions }: Runtime): Promise<Finding[]> {
  const what = "processes";
  const { processes: all } = store;
  const living = all === null ? [] : readMembers(await all.living().catch(() => []));
  const members = living.filter(({ record }) => record.isWorker !== true);
  if (all === null || members.length === 0) return [];
  const letters = await Promise.all(living.map(({ id }) => all.waiting(id).catch(() => 0)));
  const waiting = letters.reduce((sum, count) => sum + count, 0);
  const sharing = members.filter(({ record }) => record.isSharing);
  const owners = ownersOf(
    sharing.map(({ id }) => id),
    partitions,
  );
  const shares = members.map(({ id, record }) => {
    const owned = sharing.length < 2 ? partitions : owners.filter((owner) => owner === id).length;
    return `${record.name} owns ${owned}`;
  });
  const is = `${members.length} share ${partitions} partitions: ${shares.join(", ")}; ${waiting} letters wait`;
  if (waiting <= LETTERS_MAX * living.length) return [{ what, is }];
  return [{ what, is, advice: "one of them does not keep up, or is stopped: look into its log" }];
}

/** `sentAtMs`, `nowMs`: of this process, before and after the clocks were asked. */
export function clockFinding(clocks: readonly StoreClock[], sentAtMs: number, nowMs: number): Finding {
  const skews = clocks.map(({ nowMs: theirs }) =>
    sentAtMs > theirs ? sentAtMs - theirs : nowMs < theirs ? nowMs - theirs : 0,
  );
  const skewMs = skews.reduce((furthest, skew) => (Math.abs(skew) > Math.abs(furthest) ? skew : furthest), 0);
  const what = "clock";
  if (clocks.length === 0) return { what, is: "the store has none but this machine's" };
  if (Math.abs(skewMs) <= SKEW_MS) return { what, is: "this machine and the store agree within 1s" };
  const side = skewMs > 0 ? "ahead of" : "behind";
  return {
    what,
    is: `this machine is ${formatDuration(Math.round(Math.abs(skewMs) / 100) * 100)} ${side} the store`,
    advice: "set the clocks (NTP); beyond 5s an engine refuses alerts, fires no timer and removes nothing",
  };
}

type Open = {
  readonly instances: readonly Instance[];
  readonly unreadable: readonly string[];
  readonly isAll: boolean;
};

/** What is not at rest; a namespace of format 1 does not know it. */
async function openInstances(runtime: Runtime): Promise<Open> {
  const instances: Instance[] = [];
  const unreadableIds: string[] = [];
  let isAll = true;
  for (const under of INSTANCE_STATES) {
    let cursor: string | undefined;
    for (let looked = 0; ; ) {
      const page = await runtime.store.list({ limit: PAGE_COUNT, under, ...(cursor === undefined ? {} : { cursor }) });
      for (const stored of page.instances) {
        const read = await tryInstance(runtime, stored);
        if (read instanceof BecalmError) unreadableIds.push(stored.id);
        else instances.push(read);
      }
      looked += page.instances.length;
      if (page.next === null) break;
      cursor = page.next;
      if (looked >= LOOKED_COUNT_MAX) isAll = false;
      if (looked >= LOOKED_COUNT_MAX) break;
    }
  }
  return { instances, unreadable: unreadableIds, isAll };
}

function unreadable({ instances, unreadable: ids, isAll }: Open): Finding {
  const number = instances.length + ids.length;
  const looked = `${number}${isAll ? "" : " or more"} ${number === 1 ? "instance is" : "instances are"} not at rest`;
  if (ids.length === 0) return { what: "quarantine", is: `none is quarantined; ${looked}` };
  return {
    what: "quarantine",
    is: `${ids.length} cannot be read (${some(ids)}); ${looked}`,
    advice:
      "update this program if a newer one wrote them, else restore them: `becalm ls --quarantined` says what is wrong",
  };
}

async function overdueTimers({ store }: Runtime, nowMs: number): Promise<Finding> {
  const what = "timers";
  const untilMs = nowMs - OVERDUE_MS;
  const lanes = (["work", "approval"] as const).map((lane) => store.timers({ lane, untilMs, limit: LOOKED_COUNT_MAX }));
  const rows = (await Promise.all(lanes)).flat();
  if (rows.length === 0) return { what, is: "none is overdue" };
  const oldestMs = rows.reduce((oldest, { dueAtMs }) => Math.min(oldest, dueAtMs), Number.POSITIVE_INFINITY);
  return {
    what,
    is: `${atLeast(rows.length)} are overdue, the oldest by ${ago(nowMs - oldestMs)} (${some(rows.map(({ owner }) => owner))})`,
    advice: "start an engine; if one runs, its log says why they cannot be committed",
  };
}

async function setAside({ store }: Runtime): Promise<Finding> {
  const what = "dead letters";
  const letters = await store.outbox.deadLetters({ limit: LOOKED_COUNT_MAX });
  if (letters.length === 0) return { what, is: "none is set aside" };
  return {
    what,
    is: `${atLeast(letters.length)} attempts are set aside (${some(letters.map(({ id }) => id))})`,
    advice: "look what ended their processes, then resume or cancel them: `becalm dead-letters`",
  };
}

function waitingEffects(stored: readonly StoredEffect[], nowMs: number): Finding {
  const what = "outbox";
  const effects = stored.map(decodeEffect);
  const late = effects.filter(({ atMs }) => nowMs - atMs > WAITS_LONG_MS);
  const count = `${atLeast(effects.length)} attempts are under way or wait`;
  if (late.length === 0) return { what, is: effects.length === 0 ? "empty" : count };
  const oldestMs = late.reduce((oldest, { atMs }) => Math.min(oldest, atMs), Number.POSITIVE_INFINITY);
  return {
    what,
    is: `${count}, ${late.length} of them for more than 10m, the oldest for ${ago(nowMs - oldestMs)} (${some(late.map(({ instanceId }) => instanceId))})`,
    advice: "see that an engine runs, that no pause holds them, and that their actions end; raise --concurrency",
  };
}

async function unclaimable({ store, partitions }: Runtime): Promise<Finding> {
  const what = "claims";
  const all = Array.from({ length: partitions }, (_, partition) => store.unclaimedEffects(partition));
  const ids = (await Promise.all(all)).flat();
  if (ids.length === 0) return { what, is: "every attempt in the outbox can be taken" };
  return {
    what,
    is: `${ids.length} attempts that nobody can take (${some(ids)})`,
    advice: "`becalm audit verify` names them; cancel their instances (`becalm send ID cancel`), then decide them anew",
  };
}

/** Attempts that are neither in the outbox nor over: nothing will end them. */
function unmoved({ instances }: Open, stored: readonly StoredEffect[]): Finding {
  const what = "stuck";
  const own = new Set(stored.map((effect) => decodeEffect(effect).instanceId));
  const isWhole = stored.length < LOOKED_COUNT_MAX;
  const ids = instances
    .filter(({ id, snapshot: { state } }) => isWhole && state === "Processing.running" && !own.has(id))
    .map(({ id }) => id);
  if (ids.length === 0) return { what, is: "nothing runs without its attempt" };
  return {
    what,
    is: `${ids.length} run without an attempt in the outbox (${some(ids)})`,
    advice: "look again in a moment; those that stay were damaged: `becalm send ID cancel` ends them",
  };
}

function atLeast(count: number): string {
  return count >= LOOKED_COUNT_MAX ? `${count} or more` : String(count);
}

function some(ids: readonly string[]): string {
  const shown = [...new Set(ids)];
  return shown.length <= SHOWN_ID_COUNT ? shown.join(", ") : `${shown.slice(0, SHOWN_ID_COUNT).join(", ")}, ...`;
}

function ago(ms: number): string {
  return formatDuration(Math.round(ms / 1_000) * 1_000);
}
