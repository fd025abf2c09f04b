import { setImmediate as nextTurn } from "node:timers/promises";
import { BecalmError } from "../../src/model/errors.ts";
import type { Outbox } from "../../src/stores/outbox.ts";
import type { Processes } from "../../src/stores/processes.ts";
import type { CommitOutcome, Store } from "../../src/stores/store.ts";
import { travelling } from "./lateness.ts";

/** One call of a store's method. `count`: how many calls of that method this store has seen, this one included. */
export type StoreCall = {
  readonly method: Exclude<keyof Store, symbol> | "acquire" | `outbox.${Exclude<keyof Outbox, symbol>}`;
  readonly count: number;
  readonly argument: unknown;
};

/**
 * What happens to a call: it passes; it fails before the store hears of it; it is carried out but its reply is lost; the process dies
 * before or after it is carried out; or, for a commit, the store is not asked and answers with an outcome.
 */
export type StoreFate =
  | "pass"
  | "fail"
  | "lose the reply"
  | "die before"
  | "die after"
  | { readonly outcome: CommitOutcome };

export type WatchedStore = {
  readonly store: Store;
  /** Calls that are not answered yet, and letters of others that are on their way to this process. */
  readonly pendingCount: () => number;
  /** From now on nothing is heard of any call, sent or to be sent: what a process sees that died. */
  readonly die: () => void;
  readonly isDead: () => boolean;
  /** Resolves when it dies. */
  readonly whenDead: Promise<void>;
};

export type WatchOptions = {
  readonly fateOf?: ((call: StoreCall) => StoreFate) | undefined;
  /** Told how each commit came out. */
  readonly onOutcome?: ((outcome: CommitOutcome) => unknown) | undefined;
  /** Replies come a turn of the event loop later, as over a network, so that others may come in between. */
  readonly isFar?: boolean | undefined;
};

/** A store that counts its calls, and meets each with the fate that `fateOf` says. */
export function watchStore(store: Store, options: WatchOptions = {}): WatchedStore {
  const counts = new Map<string, number>();
  let pending = 0;
  let isDead = false;
  const inbox = { id: "" };
  let hasDied = () => {};
  const whenDead = new Promise<void>((resolve) => {
    hasDied = resolve;
  });
  const die = (): Promise<never> => {
    isDead = true;
    hasDied();
    return never();
  };

  async function call(method: StoreCall["method"], argument: unknown, send: () => Promise<unknown>): Promise<unknown> {
    if (isDead) return never();
    const count = (counts.get(method) ?? 0) + 1;
    counts.set(method, count);
    const fate = options.fateOf?.({ method, count, argument }) ?? "pass";
    pending += 1;
    try {
      if (fate === "fail") throw lostConnection(method, "before it was sent");
      if (typeof fate === "object") return fate.outcome;
      if (fate === "die before") return await die();
      const reply = await travelling(send);
      if (options.isFar === true) await nextTurn();
      if (fate === "die after") return await die();
      if (method === "commit") options.onOutcome?.(reply as CommitOutcome);
      if (fate === "lose the reply") throw lostConnection(method, "after it was carried out");
      return isDead ? never() : reply;
    } finally {
      pending -= 1;
    }
  }

  async function counted<Reply>(send: () => Promise<Reply>): Promise<Reply> {
    pending += 1;
    try {
      return await travelling(send);
    } finally {
      pending -= 1;
    }
  }

  const watched = new Proxy(store, {
    get(target, name) {
      const member = Reflect.get(target, name) as unknown;
      if (name === "lock") {
        const { lock } = target;
        return { acquire: (request: never) => call("acquire", request, () => lock.acquire(request)) };
      }
      if (name === "processes" && target.processes !== null)
        return mortal(target.processes, { isDead: () => isDead, inbox, counted });
      if (name === "outbox") return watchedOutbox(target.outbox, call);
      if (typeof member !== "function" || name === "close" || name === Symbol.asyncDispose) {
        return typeof member === "function" ? member.bind(target) : member;
      }
      const method = member.bind(target) as (...given: unknown[]) => Promise<unknown>;
      return (...given: unknown[]) => call(name as StoreCall["method"], given[0], () => method(...given));
    },
  });
  return {
    store: watched,
    pendingCount: () => (isDead ? 0 : pending + (onTheirWay.get(inbox.id) ?? 0)),
    isDead: () => isDead,
    whenDead,
    die: () => void die(),
  };
}

/** How many letters of watched stores are on their way, by who receives them. */
const onTheirWay = new Map<string, number>();

function addLetters(to: string, count: number): void {
  const before = onTheirWay.get(to);
  if (before !== undefined) onTheirWay.set(to, Math.max(before + count, 0));
}

type Mortality = {
  readonly isDead: () => boolean;
  /** Whose it is, once it receives. */
  readonly inbox: { id: string };
  /** Calls something that is not answered yet until it is. */
  readonly counted: <Reply>(send: () => Promise<Reply>) => Promise<Reply>;
};

/** Neither hears of the others any more when it is dead, nor they of it. Only `receive` waits for what may never come. */
function mortal(processes: Processes, { isDead, inbox, counted }: Mortality): Processes {
  const answered = async <Reply>(send: () => Promise<Reply>): Promise<Reply> => {
    if (isDead()) return never();
    const reply = await counted(send);
    return isDead() ? never() : reply;
  };
  return {
    beat: (request) => answered(() => processes.beat(request)),
    leave: (id) => {
      onTheirWay.delete(id);
      return answered(() => processes.leave(id));
    },
    living: () => answered(() => processes.living()),
    send: (to, letters) => {
      if (!isDead()) addLetters(to, letters.length);
      return answered(() => processes.send(to, letters));
    },
    receive: async (id) => {
      inbox.id = id;
      onTheirWay.set(id, onTheirWay.get(id) ?? 0);
      const letters = isDead() ? await never() : await processes.receive(id);
      addLetters(id, -letters.length);
      if (!isDead()) return letters;
      // The server takes nothing out for a connection that is gone.
      if (letters.length > 0) await processes.send(id, letters);
      return never();
    },
    waiting: (id) => answered(() => processes.waiting(id)),
    enrol: (request) => answered(() => processes.enrol(request)),
    enrolled: (ids) => answered(() => processes.enrolled(ids)),
  };
}

type Call = (method: StoreCall["method"], argument: unknown, send: () => Promise<unknown>) => Promise<unknown>;

function watchedOutbox(outbox: Outbox, call: Call): Outbox {
  return new Proxy(outbox, {
    get(target, name) {
      const method = (Reflect.get(target, name) as (given: unknown) => Promise<unknown>).bind(target);
      return (given: unknown) => call(`outbox.${name as keyof Outbox}`, given, () => method(given));
    },
  });
}

function never(): Promise<never> {
  return new Promise(() => undefined);
}

function lostConnection(method: string, when: string): BecalmError {
  return new BecalmError("BECALM_STORE_UNAVAILABLE", `The connection was lost at ${method}, ${when}. Try again.`);
}
