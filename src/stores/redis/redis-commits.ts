/**
 * Commits on their way to their script: several of one partition go together. Those that were applied are remembered
 * for a while, and wait for replicas if the store is told so.
 */
import type { BecalmError } from "../../model/errors.ts";
import type { Commit, CommitOutcome, LostCommit } from "../store.ts";
import { CommandBatcher } from "./command-batcher.ts";
import { commitArguments, commitSize } from "./commit-arguments.ts";
import type { CommitLedger } from "./commit-ledger.ts";
import type { RedisConnection } from "./connection.ts";
import type { RedisKeys } from "./keys.ts";
import type { Replication } from "./replication.ts";
import { scripts } from "./scripts.ts";

/** Texts of a script's commits, in UTF-16 units: some 256 alerts, which stall other clients for about 2 ms. */
const SCRIPT_UNITS_MAX = 384 * 1_024;
/** Some 30 alerts, with which the server is busy as long as this process with deciding further ones. */
const SCRIPT_UNITS_ENOUGH = 48 * 1_024;

type Answer = CommitOutcome | BecalmError;

export class RedisCommits {
  readonly #connection: RedisConnection;
  readonly #keys: RedisKeys;
  readonly #ledger: CommitLedger;
  readonly #replication: Replication | null;
  readonly #batcher = new CommandBatcher<Commit, CommitOutcome>({
    sizeMax: SCRIPT_UNITS_MAX,
    sizeEnough: SCRIPT_UNITS_ENOUGH,
    sizeOf: commitSize,
    send: (partition, commits) => this.#send(partition, commits),
    write: (sendAll) => this.#connection.writeTogether(sendAll),
  });

  constructor(
    connection: RedisConnection,
    { keys, ledger, replication }: { keys: RedisKeys; ledger: CommitLedger; replication: Replication | null },
  ) {
    this.#connection = connection;
    this.#keys = keys;
    this.#ledger = ledger;
    this.#replication = replication;
  }

  commit(commit: Commit): Promise<CommitOutcome> {
    return this.#batcher.ask(commit.partition, commit);
  }

  /** Commits of this process that are gone. */
  lost(): Promise<LostCommit[]> {
    const { client } = this.#connection;
    return this.#ledger.lost((partition, commitIds) =>
      this.#connection.run(async () => {
        const there = await Promise.all(commitIds.map((id) => client.exists(this.#keys.commit(partition, id))));
        return there.map((count) => count === 1);
      }),
    );
  }

  async #send(partition: number, commits: readonly Commit[]): Promise<readonly Answer[]> {
    const { keys, args } = commitArguments(partition, commits, this.#keys);
    const words = await this.#connection.run(() => scripts.commit(this.#connection.client, keys, args));
    const answers = words.map((word) => this.#connection.answerOf<CommitOutcome>(word));
    const applied = commits.filter((_, index) => answers[index] === "applied" || answers[index] === "duplicate");
    if (applied.length === 0) return answers;
    if (this.#replication !== null) {
      const commitKeys = applied.map(({ commitId }) => this.#keys.commit(partition, commitId));
      await this.#replication.await(partition, commitKeys);
    }
    for (const commit of applied) this.#ledger.remember(commit);
    return answers;
  }
}
