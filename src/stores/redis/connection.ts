/**
 * The connection to Redis: how long a call may take, what is sent again, and what errors mean.
 *
 * C1: every call is answered within its deadline, whatever the server does. What was sent may be carried out all the
 * same, later: every command may be sent twice, and commits have ids. C2: what a server refuses for a moment (a
 * failover, slots that move, a replica too few) is sent again until the deadline. C3: connecting goes on behind that,
 * so the store works again as soon as the server does. C4: the deadline counts from when the server fell silent, so a
 * request that makes one call after another, or waits for another's, is not kept for as many deadlines.
 */
import { Cluster, Redis } from "ioredis";
import { BecalmError, type ErrorCode, messageOf } from "../../model/errors.ts";
import { addressOf, clientFor, completeClient, type RedisClient } from "./redis-client.ts";
import { parseRedisUrl } from "./redis-url.ts";
import { meaningOf } from "./reply-errors.ts";

export type { RedisClient } from "./redis-client.ts";

/** The most that one read asks for: no store holds more, and Redis takes no Infinity for a count. */
export const ROW_COUNT_MAX = 2 ** 32;

/** How long a call may take unless the caller says otherwise. */
export const CALL_TIMEOUT_MS = 5_000;

/** How long a call may take at least, to a server that has been silent for as long as a call may take. */
const SILENT_CALL_TIMEOUT_MS = 500;

const RESENT_AFTER_MS = 100;

/** How a script begins an error that concerns one thing of several (commit.lua). */
const FAILED = "failed ";

const FACTS: Partial<Record<ErrorCode, string>> = {
  BECALM_STORE_UNAVAILABLE: "cannot be used",
  BECALM_STORE_FULL: "is out of memory",
  BECALM_STORE_FORBIDDEN: "does not let its user do this",
};

const REMEDIES: Partial<Record<ErrorCode, string>> = {
  BECALM_STORE_UNAVAILABLE: "Check that it runs and that the URL is right, then try again",
  BECALM_STORE_FAILED: "See the server's log",
};

/** `callTimeoutMs`: default 5 s. The others shorten the waiting of a client of our own. */
export type Patience = { callTimeoutMs?: number; connectTimeout?: number; socketTimeout?: number };

export class RedisConnection {
  readonly client: RedisClient;
  readonly #isOwn: boolean;
  readonly #callTimeoutMs: number;
  #isClosing = false;
  /** That of a client of the caller's is the caller's business. */
  #hasDatabase: boolean;
  /** When the oldest call was sent since the server last answered; null: it has answered all. */
  #silentSinceMs: number | null = null;
  /** Why the last connection failed; what a command then reports says only that it gave up. */
  #lastError: Error | null = null;

  /**
   * `target`: a URL, which makes a client of our own, or a client of the caller's, which is completed and never closed
   * here.
   */
  constructor(target: string | RedisClient, { callTimeoutMs = CALL_TIMEOUT_MS, ...patience }: Patience = {}) {
    this.#callTimeoutMs = callTimeoutMs;
    this.#isOwn = typeof target === "string";
    this.client =
      typeof target === "string"
        ? clientFor(parseRedisUrl(target), patience, () => this.#isClosing)
        : completeClient(target);
    this.#hasDatabase = !this.#isOwn || this.client instanceof Cluster;
    // Without a listener ioredis prints the errors of a client of our own; the commands report them.
    if (this.#isOwn) this.client.on("error", (error: Error) => (this.#lastError = error));
  }

  /** Where the server is, without the password. */
  get address(): string {
    return addressOf(this.client);
  }

  /** Runs commands that may be sent twice; rejects with a BecalmError. */
  run<Reply>(send: () => Promise<Reply>): Promise<Reply> {
    const call = this.#begin();
    return this.#withinDeadline(this.#send(send, call), call);
  }

  /** The same for what must not be sent twice. */
  runOnce<Reply>(send: () => PromiseLike<Reply>): Promise<Reply> {
    const call = this.#begin();
    return this.#withinDeadline(this.#heard(send()), call);
  }

  #begin(): Call {
    const nowMs = performance.now();
    this.#silentSinceMs ??= nowMs;
    const leastMs = Math.min(SILENT_CALL_TIMEOUT_MS, this.#callTimeoutMs);
    return { endsAtMs: Math.max(this.#silentSinceMs + this.#callTimeoutMs, nowMs + leastMs), lastRefusal: null };
  }

  async #send<Reply>(send: () => Promise<Reply>, call: Call): Promise<Reply> {
    for (;;) {
      try {
        if (!this.#hasDatabase) await this.#requireDatabase();
        return await this.#heard(send().catch((error: unknown) => (isCutOff(error) ? send() : Promise.reject(error))));
      } catch (error) {
        if (!isPassing(error) || performance.now() + RESENT_AFTER_MS >= call.endsAtMs || this.#isClosing) throw error;
        call.lastRefusal = error;
        await new Promise((resolve) => setTimeout(resolve, RESENT_AFTER_MS));
      }
    }
  }

  async #withinDeadline<Reply>(reply: Promise<Reply>, call: Call): Promise<Reply> {
    let timer: NodeJS.Timeout | undefined;
    const leftMs = Math.ceil(call.endsAtMs - performance.now());
    const deadline = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(call.lastRefusal ?? new Error(this.#silenceText())), leftMs);
    });
    try {
      return await Promise.race([reply, deadline]);
    } catch (error) {
      throw this.toBecalmError(error);
    } finally {
      clearTimeout(timer);
    }
  }

  #silenceText(): string {
    const forMs = this.#silentSinceMs === null ? this.#callTimeoutMs : performance.now() - this.#silentSinceMs;
    return `no answer for ${(forMs / 1_000).toFixed(1)} s`;
  }

  /** An answer, also a late one and a refusal, ends the silence. */
  async #heard<Reply>(reply: PromiseLike<Reply>): Promise<Reply> {
    try {
      const answer = await reply;
      this.#silentSinceMs = null;
      return answer;
    } catch (error) {
      if (isReply(error)) this.#silentSinceMs = null;
      throw error;
    }
  }

  /**
   * Writes what `send` sends in one system call: one for each command costs more than the command. A cluster has many
   * sockets and writes each at once.
   */
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

  /**
   * A word that a script answers for one thing of several; `failed <error>` is the server's error, which is that
   * thing's alone.
   */
  answerOf<Word extends string>(answer: string): Word | BecalmError {
    if (!answer.startsWith(FAILED)) return answer as Word;
    const text = answer.slice(FAILED.length);
    return this.#replyError(text, new Error(text));
  }

  #replyError(text: string, error: unknown): BecalmError {
    const meaning = meaningOf(text);
    return this.#failure(meaning?.code ?? "BECALM_STORE_FAILED", error, meaning?.remedy);
  }

  /** What was there before and is no longer. */
  hasLost(what: string): BecalmError {
    return new BecalmError(
      "BECALM_STORE_FAILED",
      `Redis at ${this.address} no longer has ${what}: somebody removed it, or the server lost its data. What was written since it was opened may be gone too. Run it again.`,
      { details: { address: this.address } },
    );
  }

  async close(): Promise<void> {
    if (!this.#isOwn) return;
    this.#isClosing = true;
    const { client } = this;
    if (client.status === "wait") return client.disconnect();
    if (client instanceof Cluster) return this.#closeCluster(client);
    // disconnect() between two connections would leave the commands that wait for the next one unsettled for ever. So
    // the next one is awaited: it serves them, or it fails and, being the last, ends them.
    if (client.status !== "ready" && client.status !== "end") await anyEvent(client, ["ready", "end"]);
    if (client.status === "ready") void client.quit().catch(() => undefined);
    if (client.status !== "end") await anyEvent(client, ["end"]);
  }

  async #closeCluster(client: Cluster): Promise<void> {
    if (client.status === "ready") await this.runOnce(() => client.quit()).catch(() => undefined);
    client.disconnect();
  }

  /**
   * A client tells its listeners that the server does not have its database, and goes on in database 0. So the database
   * is asked for once more, before the first command.
   */
  async #requireDatabase(): Promise<void> {
    const { db = 0 } = (this.client as Redis).options;
    if (db > 0) await (this.client as Redis).select(db);
    this.#hasDatabase = true;
  }

  #failure(code: ErrorCode, error: unknown, remedy = REMEDIES[code]): BecalmError {
    if (this.#isClosing && code === "BECALM_STORE_UNAVAILABLE") return this.#closed(error);
    const reason = isGivenUp(error) && this.#lastError !== null ? this.#lastError : error;
    // Refused connections to several addresses of one name come as one error without a text.
    const why = (messageOf(reason) || String((reason as { code?: unknown }).code)).replace(/\.$/, "");
    return new BecalmError(code, `Redis at ${this.address} ${FACTS[code] ?? "failed"}: ${why}. ${remedy}.`, {
      cause: error,
      details: { address: this.address },
    });
  }

  #closed(cause: unknown): BecalmError {
    const { address } = this;
    const text = `The store on Redis at ${address} was closed, and something still uses it. Close it when its engines and workers have stopped.`;
    return new BecalmError("BECALM_STORE_UNAVAILABLE", text, { cause, details: { address } });
  }
}

type Call = { readonly endsAtMs: number; lastRefusal: unknown };

function anyEvent(client: RedisClient, events: readonly string[]): Promise<void> {
  return new Promise((resolve) => {
    for (const event of events) client.once(event, () => resolve());
  });
}

function isReply(error: unknown): boolean {
  return error instanceof Error && error.name === "ReplyError";
}

/** The server refused it for a moment. */
function isPassing(error: unknown): boolean {
  return isReply(error) && meaningOf(messageOf(error))?.isPassing === true;
}

/**
 * The connection broke in the middle of a pipeline's answers; ioredis sends whole pipelines again, but not such a rest.
 */
function isCutOff(error: unknown): boolean {
  return error instanceof Error && error.message === "Command aborted due to connection close";
}

function isGivenUp(error: unknown): boolean {
  return error instanceof Error && error.name === "MaxRetriesPerRequestError";
}
