/** A store as one process sees it: each call is a request that travels, is carried out, and a reply that travels back. */
import { BecalmError } from "../../src/model/errors.ts";
import type { Outbox } from "../../src/stores/outbox.ts";
import type { LiveProcess, Processes } from "../../src/stores/processes.ts";
import type { Commit, CommitOutcome, Store } from "../../src/stores/store.ts";
import type { Network } from "./scenario.ts";
import type { Scheduler, SimulatedProcess } from "./scheduler.ts";
import type { SeededRandom } from "./seeded-random.ts";

export type Connection = {
  readonly scheduler: Scheduler;
  readonly random: SeededRandom;
  readonly process: SimulatedProcess;
  /** As it is now. */
  readonly network: () => Network;
  /** Hears of each call that only looks for something to do. */
  readonly onPoll: (method: string) => void;
  /** Hears of each commit as the store answers it, before the process does. */
  readonly onCommit: (commit: Commit, outcome: CommitOutcome) => void;
  /** Told when the process hears an error although the call may have been carried out. */
  readonly onUnknown: () => void;
};

type Call = { readonly method: string; readonly given: readonly unknown[]; readonly send: () => Promise<unknown> };

/** Calls that only look for something to do: most of them travel for nothing, so most pass at once. */
const POLLS: ReadonlySet<string> = new Set(["timers", "claimEffects", "extendClaims", "policies", "open", "beat"]);
const POLL_PASSES_AT_ONCE = 0.8;

export function simulatedStore(store: Store, connection: Connection): Store {
  return new Proxy(store, {
    get(target, name) {
      if (name === "lock") {
        const { lock } = target;
        const acquire = (request: never) =>
          travel(connection, { method: "acquire", given: [request], send: () => lock.acquire(request) });
        return { acquire };
      }
      if (name === "processes" && target.processes !== null) return simulatedProcesses(target.processes, connection);
      const member = Reflect.get(target, name) as unknown;
      if (name === "outbox") return farOutbox(target.outbox, connection);
      if (typeof member !== "function") return member;
      const method = member.bind(target) as (...given: unknown[]) => Promise<unknown>;
      if (typeof name === "symbol" || name === "close") return method;
      return (...given: unknown[]) => travel(connection, { method: name, given, send: () => method(...given) });
    },
  });
}

/**
 * Letters travel as everything does: one that is taken and whose reply is lost is gone. Whoever has sent one does not know whether its owner decides it,
 * or when: if the sender gives up and must refuse the alert, the owner may decide it all the same.
 */
function simulatedProcesses(processes: Processes, connection: Connection): Processes {
  return new Proxy(processes, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (typeof member !== "function" || typeof name === "symbol") return member;
      const method = member.bind(target) as (...given: unknown[]) => Promise<unknown>;
      const send = (given: readonly unknown[]) =>
        name === "beat" ? heard(connection, method(...given) as Promise<LiveProcess[]>) : method(...given);
      return (...given: unknown[]) => {
        if (name === "send") connection.onUnknown();
        return travel(connection, { method: name, given, send: () => send(given) });
      };
    },
  });
}

function farOutbox(outbox: Outbox, connection: Connection): Outbox {
  return new Proxy(outbox, {
    get(target, name) {
      const method = (Reflect.get(target, name) as (given: unknown) => Promise<unknown>).bind(target);
      return (given: unknown) =>
        travel(connection, { method: `outbox.${String(name)}`, given: [given], send: () => method(given) });
    },
  });
}

/** Who lives, or what somebody wrongly takes for that. */
async function heard({ random, network }: Connection, living: Promise<LiveProcess[]>): Promise<LiveProcess[]> {
  const all = await living;
  if (!random.chance(network().wrongMembers)) return all;
  const some = all.filter(() => random.chance(0.6));
  const [one] = all;
  return one === undefined || random.chance(0.5) ? some : [...some, { ...one, id: `ghost-${random.below(2)}` }];
}

function travel(connection: Connection, call: Call): Promise<unknown> {
  const { scheduler, random, process } = connection;
  const network = connection.network();
  if (process.isDead) return new Promise(() => undefined);
  if (POLLS.has(call.method)) connection.onPoll(call.method);
  if (POLLS.has(call.method) && random.chance(POLL_PASSES_AT_ONCE)) return call.send();
  const isFailed = random.chance(network.failures);
  return new Promise((resolve, reject) => {
    const reply = (settle: () => void) => void scheduler.add({ process, delayMs: delayMs(connection) }, settle);
    const carryOut = () => {
      if (isFailed) return reply(() => reject(lost(call.method, "before it was sent")));
      carriedOut(connection, call).then(
        (answer) => reply(() => resolve(answer)),
        (error: unknown) => reply(() => reject(error as Error)),
      );
    };
    scheduler.add({ process: null, delayMs: delayMs(connection) }, carryOut);
  });
}

/** A request that is sent twice because its first reply was lost is answered as the second time. */
async function carriedOut(connection: Connection, call: Call): Promise<unknown> {
  const { random, onCommit, onUnknown } = connection;
  const network = connection.network();
  let answer = await call.send();
  const commit = call.method === "commit" ? (call.given[0] as Commit) : null;
  if (commit !== null) {
    onCommit(commit, answer as CommitOutcome);
    if (random.chance(network.repeats)) answer = await call.send();
  }
  if (!random.chance(network.lostReplies)) return answer;
  onUnknown();
  throw lost(call.method, "after it was carried out");
}

function delayMs({ random, network: networkNow }: Connection): number {
  const network = networkNow();
  if (network.delayMsMax === 0) return 0;
  return random.chance(network.stalls) ? random.below(network.stallMsMax) : random.below(network.delayMsMax + 1);
}

function lost(method: string, when: string): BecalmError {
  return new BecalmError("BECALM_STORE_UNAVAILABLE", `The connection was lost at ${method}, ${when}. Try again.`);
}
