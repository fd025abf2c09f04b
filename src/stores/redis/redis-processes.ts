/**
 * The processes of a namespace: one hash of those that live, and a list of letters for each that has some. Who receives
 * waits in a connection of its own, because a command that blocks keeps those behind it waiting.
 */
import { Cluster } from "ioredis";
import { compareCodePoints } from "../../model/utf8.ts";
import {
  type BeatRequest,
  type Enrolment,
  LETTER_COUNT_MAX,
  LETTERS_KEPT_MS,
  type LiveProcess,
  type Processes,
  supernumerary,
} from "../processes.ts";
import { requireLease } from "../store-rules.ts";
import type { RedisClient, RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import { completeClient } from "./redis-client.ts";
import { scripts } from "./scripts.ts";

/** How long the server lets a receiver wait: shorter than the silence after which a connection counts as gone. */
const WAIT_SECONDS = 1;

/** `keys`: of the open namespace. */
export type ProcessesOptions = { readonly connection: RedisConnection; readonly keys: () => RedisKeys };

export class RedisProcesses implements Processes {
  readonly #connection: RedisConnection;
  readonly #keys: () => RedisKeys;
  /** Connections in which somebody receives, by id. */
  readonly #receivers = new Map<string, Receiver>();

  constructor({ connection, keys }: ProcessesOptions) {
    this.#connection = connection;
    this.#keys = keys;
  }

  async beat({ id, record, leaseMs }: BeatRequest): Promise<LiveProcess[]> {
    requireLease(leaseMs, "membership");
    return this.#beat([id, record, leaseMs]);
  }

  living(): Promise<LiveProcess[]> {
    return this.#beat(["", "", 1]);
  }

  async #beat(args: readonly (string | number)[]): Promise<LiveProcess[]> {
    const { processes } = this.#keys();
    const flat = await this.#connection.run(() => scripts.beat(this.#connection.client, [processes], args));
    const living: LiveProcess[] = [];
    for (let at = 0; at < flat.length; at += 3)
      living.push({ id: String(flat[at]), record: String(flat[at + 1]), leftMs: Number(flat[at + 2]) });
    return living.sort((left, right) => compareCodePoints(left.id, right.id));
  }

  async leave(id: string): Promise<void> {
    this.#receivers.get(id)?.end();
    this.#receivers.delete(id);
    const { client } = this.#connection;
    await this.#connection.run(() => client.hdel(this.#keys().processes, id));
    await this.#connection.run(() => client.del(this.#keys().inbox(id)));
  }

  async send(to: string, letters: readonly string[]): Promise<void> {
    const args = [LETTERS_KEPT_MS, ...letters];
    await this.#connection.run(() => scripts.sendLetters(this.#connection.client, [this.#keys().inbox(to)], args));
  }

  async receive(id: string): Promise<string[]> {
    const receiver = this.#receivers.get(id) ?? new Receiver(this.#connection.client);
    this.#receivers.set(id, receiver);
    return receiver.take(this.#keys().inbox(id)).catch((error: unknown) => {
      throw this.#connection.toBecalmError(error);
    });
  }

  async waiting(id: string): Promise<number> {
    return this.#connection.run(() => this.#connection.client.llen(this.#keys().inbox(id)));
  }

  async enrol({ id, record, sinceMs }: Enrolment): Promise<void> {
    const { enrolled } = this.#keys();
    const { client } = this.#connection;
    const added = await this.#connection.run(() => client.hset(enrolled, id, `${sinceMs} ${record}`));
    // It is said again whenever the namespace is renewed; all are read only when there is one more.
    if (added === 0) return;
    const all = Object.entries(await this.#connection.run(() => client.hgetall(enrolled)));
    const tooMany = supernumerary(all.map(([one, text]) => parseEnrolled(one, text)));
    if (tooMany.length > 0) await this.#connection.run(() => client.hdel(enrolled, ...tooMany));
  }

  async enrolled(ids: readonly string[]): Promise<ReadonlyMap<string, string>> {
    if (ids.length === 0) return new Map();
    const { enrolled } = this.#keys();
    const texts = await this.#connection.run(() => this.#connection.client.hmget(enrolled, ...ids));
    return new Map(
      ids.flatMap((id, index) => {
        const text = texts[index] ?? null;
        return text === null ? [] : [[id, parseEnrolled(id, text).record] as const];
      }),
    );
  }

  close(): void {
    for (const receiver of this.#receivers.values()) receiver.end();
    this.#receivers.clear();
  }
}

function parseEnrolled(id: string, text: string): Enrolment {
  const end = text.indexOf(" ");
  return { id, record: text.slice(end + 1), sinceMs: Number(text.slice(0, end)) };
}

/** A connection in which one process waits for its letters. */
class Receiver {
  readonly #client: RedisClient;
  #isOver = false;
  #onEnd: () => void = () => {};

  constructor(client: RedisClient) {
    this.#client = completeClient(client instanceof Cluster ? client.duplicate() : client.duplicate());
    // Without a listener ioredis prints the errors; whoever receives reports them.
    this.#client.on("error", () => {});
  }

  take(inbox: string): Promise<string[]> {
    return new Promise((resolve, reject) => {
      // A client of a cluster that is ended while it connects never settles what it was asked.
      this.#onEnd = () => resolve([]);
      this.#take(inbox).then(resolve, (error: unknown) => (this.#isOver ? resolve([]) : reject(error as Error)));
    });
  }

  async #take(inbox: string): Promise<string[]> {
    // BLMPOP would take them all at once, and Redis 7.0 ends when a script asks whether a user may run it.
    const first = await this.#client.blpop(inbox, WAIT_SECONDS);
    if (first === null) return [];
    const others = await this.#client.lpop(inbox, LETTER_COUNT_MAX - 1);
    return [first[1], ...(others ?? [])];
  }

  end(): void {
    this.#isOver = true;
    this.#client.disconnect();
    this.#onEnd();
  }
}
