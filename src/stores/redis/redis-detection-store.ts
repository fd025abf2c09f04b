/**
 * The detection store on Redis 7 or later, one server or a cluster. What lies where: docs/data-layout.md.
 *
 * A stream's keys all carry its own hash tag, so a commit is one script in one slot. Every command may be sent twice.
 */

import { type CheckpointKeys, type KeyConfig, registerKeysWithConfig } from "../../detection/core/checkpoint-keys.ts";
import { checkpointPiece } from "../../detection/core/state-pieces.ts";
import type {
  CheckResultRow,
  DetectionCommit,
  DetectionCommitOutcome,
  DetectionStore,
  SeenRecord,
  SequencedText,
  SequencePage,
  SeriesLevel,
  StoredDetection,
} from "../../detection/detection-store.ts";
import {
  requireSequencePage,
  requireStreamName,
  requireTime,
  requireValidDetectionCommit,
} from "../detection-rules.ts";
import { requireKnownOptions } from "../known-options.ts";
import { type RedisClient, RedisConnection, ROW_COUNT_MAX } from "./connection.ts";
import { detectionCommitArguments } from "./detection-commit-arguments.ts";
import { type DetectionKeys, detectionKeys, requireKeySpace } from "./keys.ts";
import { pairs, scripts } from "./scripts.ts";

export type RedisDetectionStoreOptions = {
  /** Default "default". Letters, digits, `.`, `_` and `-`, at most 64. */
  namespace?: string;
  /** Streams of one namespace do not see each other. Default "default"; named like a namespace. */
  stream?: string;
  /** What every key starts with. Default "becalm". */
  keyPrefix?: string;
  /** Lives of the checkpoint keys other than those of the table; prefixes are added after the stream's own. */
  keys?: KeyConfig;
};

/** A detection stream on Redis. `target` as for `redisStore`. Connects with the first call. */
export function redisDetectionStore(
  target: string | RedisClient,
  options: RedisDetectionStoreOptions = {},
): DetectionStore {
  requireKnownOptions("redisDetectionStore", options, ["namespace", "stream", "keyPrefix", "keys"]);
  const { stream = "default" } = options;
  requireStreamName(stream);
  const own = detectionKeys(requireKeySpace(options), stream);
  return new RedisDetectionStore(new RedisConnection(target), own, checkpointKeysUnder(own.head, options.keys));
}

/** The table's keys with the stream's head before whatever prefix the configuration gives. */
function checkpointKeysUnder(head: string, { prefix = "", keys = {}, ...forAll }: KeyConfig = {}): CheckpointKeys {
  const named = Object.entries(keys).map(([name, { prefix: own, ...rest }]) => [
    name,
    { ...rest, ...(own === undefined ? {} : { prefix: head + own }) },
  ]);
  return registerKeysWithConfig({ ...forAll, prefix: head + prefix, keys: Object.fromEntries(named) });
}

class RedisDetectionStore implements DetectionStore {
  readonly #connection: RedisConnection;
  readonly #client: RedisClient;
  readonly #own: DetectionKeys;
  readonly #keys: CheckpointKeys;

  constructor(connection: RedisConnection, own: DetectionKeys, keys: CheckpointKeys) {
    this.#connection = connection;
    this.#client = connection.client;
    this.#own = own;
    this.#keys = keys;
  }

  /** One script, so that no commit lies between two of the reads. */
  async load(groupKeys: readonly string[]): Promise<StoredDetection> {
    const { stream, alerts, pieces } = this.#own;
    const seenKeys = groupKeys.map((key) => this.#keys.ACCESS_DUPLICATE.key({ strategyGroupKey: key }));
    const [head, alertCount, named, ...seen] = await this.#connection.run(() =>
      scripts.loadDetection(this.#client, [stream, alerts, pieces, ...seenKeys], []),
    );
    return {
      version: head === null ? 0 : Number(head.split(" ", 1)[0]),
      alertCount: alertCount + Number(head?.split(" ")[2] ?? 0),
      pieces: new Map(pairs(named)),
      seen: new Map(groupKeys.map((key, index) => [key, seenRecords(seen[index] as string[])])),
    };
  }

  async commit(commit: DetectionCommit): Promise<DetectionCommitOutcome> {
    requireValidDetectionCommit(commit);
    const { keys, args } = detectionCommitArguments(commit, this.#own, this.#keys);
    return this.#connection.run(() => scripts.commitDetection(this.#client, keys, args));
  }

  alerts(page: SequencePage): Promise<SequencedText[]> {
    return this.#page(this.#own.alerts, 3, page);
  }

  auditEvents(page: SequencePage): Promise<SequencedText[]> {
    return this.#page(this.#own.auditEvents, 4, page);
  }

  async getCheckpoint(of: SeriesLevel): Promise<number | null> {
    const { LAST_CHECKPOINTS } = this.#keys;
    const key = LAST_CHECKPOINTS.key(of);
    return numberOrNull(await this.#connection.run(() => this.#client.hget(key, LAST_CHECKPOINTS.field(of))));
  }

  async setCheckpoint(of: SeriesLevel, time: number): Promise<number> {
    requireTime(time, "time of a checkpoint");
    const { LAST_CHECKPOINTS } = this.#keys;
    const args = [LAST_CHECKPOINTS.field(of), time, LAST_CHECKPOINTS.ttlMs, checkpointPiece(of)];
    const keys = [LAST_CHECKPOINTS.key(of), this.#own.stream, this.#own.pieces];
    return Number(await this.#connection.run(() => scripts.raiseCheckpoint(this.#client, keys, args)));
  }

  async groupCheckpoint(groupKey: string): Promise<number | null> {
    const key = this.#keys.STRATEGY_CHECKPOINT.key({ strategyGroupKey: groupKey });
    return numberOrNull(await this.#connection.run(() => this.#client.get(key)));
  }

  async lastRunAtMs(groupKey: string): Promise<number | null> {
    const key = this.#keys.ACCESS_RUN_TIMESTAMP.key({ strategyGroupKey: groupKey });
    return numberOrNull(await this.#connection.run(() => this.#client.get(key)));
  }

  async checkResults(of: SeriesLevel): Promise<CheckResultRow[]> {
    const key = this.#keys.CHECK_RESULT.key(of);
    const flat = await this.#connection.run(() => this.#client.zrange(key, "0", "-1", "WITHSCORES"));
    return pairs(flat).map(([member, score]) => ({
      time: Number(score),
      text: member.slice(member.indexOf(" ") + 1),
    }));
  }

  close(): Promise<void> {
    return this.#connection.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #page(key: string, place: 3 | 4, page: SequencePage): Promise<SequencedText[]> {
    requireSequencePage(page);
    if (page.limit === 0) return [];
    const args = [place, page.fromSeq, Math.min(page.limit, ROW_COUNT_MAX)];
    const keys = [this.#own.stream, key];
    const [first, ...texts] = await this.#connection.run(() => scripts.pageDetection(this.#client, keys, args));
    return texts.map((value, index) => ({ seq: first + index, value }));
  }
}

function seenRecords(flat: readonly string[]): SeenRecord[] {
  return pairs(flat).map(([recordId, time]) => [Number(time), recordId]);
}

function numberOrNull(text: string | null): number | null {
  return text === null ? null : Number(text);
}
