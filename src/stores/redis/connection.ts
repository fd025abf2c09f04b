/** The connection to Redis: how it is made, how long it is waited for, and what its errors mean. */
import { Cluster, Redis, type RedisOptions } from "ioredis";
import { BecalmError, type ErrorCode, messageOf } from "../../model/errors.ts";
import { invalid } from "../store-rules.ts";

export type RedisClient = Redis | Cluster;

/** The most that one read asks for: no store holds more, and Redis takes no Infinity for a count. */
export const ROW_COUNT_MAX = 2 ** 32;

/**
 * Nothing waits for ever: connecting ends after `connectTimeout`, a server that is connected but silent counts as gone after
 * `socketTimeout`, and a command fails after three failed connections in a row: within 1.5 s when they are refused, within 16 s
 * when nobody answers, within 22 s when somebody listens and says nothing. Connecting goes on behind that, so the store works again as soon as
 * the server does. No auto-pipelining: it sends a batch only when the one before is answered, and with many commits in flight that measured
 * half as fast as sending each at once.
 */
const CLIENT_OPTIONS = {
  lazyConnect: true,
  connectTimeout: 5_000,
  socketTimeout: 5_000,
  maxRetriesPerRequest: 2,
  // After a failover the old master answers READONLY: connect anew and send the command again.
  reconnectOnError: (error: Error) => (error.message.startsWith("READONLY") ? 2 : false),
} satisfies RedisOptions;

const RECONNECT_STEP_MS = 100;
const RECONNECT_MS_MAX = 500;

/** First words of Redis errors that mean something to the caller. Any other reply is BECALM_STORE_FAILED. */
const REPLY_CODES: readonly (readonly [prefix: string, code: ErrorCode, remedy: string])[] = [
  ["OOM", "BECALM_STORE_FULL", "Raise maxmemory or shorten the retention, then send again; nothing was written"],
  ["LOADING", "BECALM_STORE_UNAVAILABLE", "It is loading its data: try again in a moment"],
  ["READONLY", "BECALM_STORE_UNAVAILABLE", "It is a replica: use the URL of the master"],
  ["MASTERDOWN", "BECALM_STORE_UNAVAILABLE", "Its master is down: try again when there is one"],
  ["CLUSTERDOWN", "BECALM_STORE_UNAVAILABLE", "Not all slots of the cluster are served: try again when they are"],
  ["TRYAGAIN", "BECALM_STORE_UNAVAILABLE", "Slots are moving: try again in a moment"],
  ["NOPERM", "BECALM_STORE_FORBIDDEN", "Grant the user what docs/operating.md lists; nothing was written"],
  ["WRONGPASS", "BECALM_STORE_UNAVAILABLE", "Check the user and the password in the URL"],
  ["ERR DB index", "BECALM_STORE_UNAVAILABLE", "Use a number of a database that the server has: 0 to 15 by default"],
  ["NOAUTH", "BECALM_STORE_UNAVAILABLE", "It asks for a password: put it into the URL"],
];

/** How a script begins an error that concerns one thing of several (commit.lua). */
const FAILED = "failed ";

const FACTS: Partial<Record<ErrorCode, string>> = {
  BECALM_STORE_UNAVAILABLE: "cannot be used",
  BECALM_STORE_FULL: "is out of memory",
  BECALM_STORE_FORBIDDEN: "does not let its user do this",
};

const REMEDIES: Partial<Record<ErrorCode, string>> = {
  BECALM_STORE_UNAVAILABLE: "Check that it runs and that the URL is right, then try again",
  BECALM_STORE_FAILED: "Look into the log of the server",
};

export class RedisConnection {
  readonly client: RedisClient;
  /** Where the server is, without the password. */
  readonly address: string;
  readonly #isOwn: boolean;
  #isClosing = false;
  /** That of a client of the caller's is the caller's business. */
  #hasDatabase: boolean;
  /** Why the last connection failed; what a command then reports says only that it gave up. */
  #lastError: Error | null = null;

  /**
   * `target`: a URL (redis://, rediss://), which makes a client of our own, or a client of the caller's, which is never closed here.
   * `patience` shortens the waiting of a client of our own.
   */
  constructor(target: string | RedisClient, patience: { connectTimeout?: number; socketTimeout?: number } = {}) {
    this.#isOwn = typeof target === "string";
    this.#hasDatabase = !this.#isOwn;
    this.client = typeof target === "string" ? this.#connect(requireUrl(target), patience) : target;
    this.address = addressOf(this.client);
    // Without a listener ioredis prints the errors of a client of our own; the commands report them.
    if (this.#isOwn) this.client.on("error", (error: Error) => (this.#lastError = error));
  }

  /** Runs commands that may be sent twice; rejects with a BecalmError. */
  async run<Reply>(send: () => Promise<Reply>): Promise<Reply> {
    try {
      if (!this.#hasDatabase) await this.#requireDatabase();
      return await send().catch((error: unknown) => (isCutOff(error) ? send() : Promise.reject(error)));
    } catch (error) {
      throw this.toBecalmError(error);
    }
  }

  /** Writes what `send` sends in one system call: one for each command costs more than the command. A cluster has many sockets and writes each at once. */
  writeTogether(send: () => void): void {
    const stream = this.client instanceof Redis ? this.client.stream : undefined;
    stream?.cork();
    try {
      send();
    } finally {
      stream?.uncork();
    }
  }

  toBecalmError(error: unknown): BecalmError {
    if (error instanceof BecalmError) return error;
    if (error instanceof TypeError || error instanceof RangeError) return this.#failure("BECALM_STORE_FAILED", error);
    if (!isReply(error)) return this.#failure("BECALM_STORE_UNAVAILABLE", error);
    return this.#replyError(messageOf(error), error);
  }

  /** A word that a script answers for one thing of several; `failed <error>` is the server's error, which is that thing's alone. */
  answerOf<Word extends string>(answer: string): Word | BecalmError {
    if (!answer.startsWith(FAILED)) return answer as Word;
    const text = answer.slice(FAILED.length);
    return this.#replyError(text, new Error(text));
  }

  #replyError(text: string, error: unknown): BecalmError {
    const [, code, remedy] = REPLY_CODES.find(([prefix]) => text.startsWith(prefix)) ?? [];
    return this.#failure(code ?? "BECALM_STORE_FAILED", error, remedy);
  }

  /** What was there before and is no longer. */
  hasLost(what: string): BecalmError {
    return new BecalmError(
      "BECALM_STORE_FAILED",
      `Redis at ${this.address} does not have ${what} any more: somebody removed it, or the server lost its data. What was written since it was opened may be gone too. Run it again.`,
      { details: { address: this.address } },
    );
  }

  async close(): Promise<void> {
    if (!this.#isOwn) return;
    this.#isClosing = true;
    const { client } = this;
    if (client.status === "wait") return client.disconnect();
    // disconnect() between two connections would leave the commands that wait for the next one unsettled for ever. So the next one is
    // awaited: it serves them, or it fails and, being the last, ends them.
    if (client.status !== "ready" && client.status !== "end") await anyEvent(client, ["ready", "end"]);
    if (client.status === "ready") void client.quit().catch(() => undefined);
    if (client.status !== "end") await anyEvent(client, ["end"]);
  }

  /**
   * A client tells its listeners that the server does not have its database, and goes on in database 0. So the database is asked for once more, before
   * the first command.
   */
  async #requireDatabase(): Promise<void> {
    const { db = 0 } = (this.client as Redis).options;
    if (db > 0) await (this.client as Redis).select(db);
    this.#hasDatabase = true;
  }

  #connect(url: string, patience: object): Redis {
    const retryStrategy = (times: number) =>
      this.#isClosing ? null : Math.min(times * RECONNECT_STEP_MS, RECONNECT_MS_MAX);
    return new Redis(url, { ...CLIENT_OPTIONS, retryStrategy, ...patience });
  }

  #failure(code: ErrorCode, error: unknown, remedy = REMEDIES[code]): BecalmError {
    const reason = isGivenUp(error) && this.#lastError !== null ? this.#lastError : error;
    // Refused connections to several addresses of one name come as one error without a text.
    const why = (messageOf(reason) || String((reason as { code?: unknown }).code)).replace(/\.$/, "");
    return new BecalmError(code, `Redis at ${this.address} ${FACTS[code] ?? "failed"}: ${why}. ${remedy}.`, {
      cause: error,
      details: { address: this.address },
    });
  }
}

function anyEvent(client: RedisClient, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    for (const event of events) client.once(event, () => resolve());
  });
}

function requireUrl(target: string): string {
  const url = URL.canParse(target) ? new URL(target) : null;
  const isRedis =
    url !== null &&
    ["redis:", "rediss:"].includes(url.protocol) &&
    url.hostname !== "" &&
    /^(\/\d*)?$/.test(url.pathname);
  if (isRedis) return target;
  // The text may hold a password, so it is not repeated.
  throw invalid(
    "The store is no Redis URL. Write it as redis://[user:password@]host[:port][/database], or rediss:// for TLS.",
  );
}

function addressOf(client: RedisClient): string {
  if (client instanceof Cluster || client.isCluster) {
    const nodes = (client as Cluster).nodes().map(({ options }) => `${options.host}:${options.port}`);
    return `the cluster ${nodes.join(", ")}`.trimEnd();
  }
  const { host, port, db, path, tls } = (client as Redis).options;
  return path ? `${path} (database ${db ?? 0})` : `${tls ? "rediss" : "redis"}://${host}:${port}/${db ?? 0}`;
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

/** The connection broke in the middle of a pipeline's answers; ioredis sends whole pipelines again, but not such a rest. */
function isCutOff(error: unknown): boolean {
  return error instanceof Error && error.message === "Command aborted due to connection close";
}

function isGivenUp(error: unknown): boolean {
  return error instanceof Error && error.name === "MaxRetriesPerRequestError";
}
