/**
 * The detection store in a file of LMDB, which instances may share. What lies where: docs/data-layout.md. A commit is
 * one function of the transaction's rows, and is answered when it is on the disk.
 */

import { type CheckpointKeys, type KeyConfig, registerKeysWithConfig } from "../../detection/core/checkpoint-keys.ts";
import type {
  CheckResultRow,
  CheckResultsAdded,
  DetectionCommit,
  DetectionCommitOutcome,
  DetectionStore,
  GroupTaking,
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
import { Environment } from "./environment.ts";
import { ExpiringRows } from "./expiring-rows.ts";
import { nextNumber, prefixOf } from "./namespace-rows.ts";
import { AFTER_ALL, numberOf, part, sortable } from "./row-keys.ts";
import { type ReadRows, takeRows, type WriteRows } from "./rows.ts";
import { requireNamespaceName, requireStorePath } from "./store-place.ts";

export type LmdbDetectionStoreOptions = {
  /** Default "default". Letters, digits, `.`, `_` and `-`, at most 64. */
  namespace?: string;
  /** Streams of one namespace do not see each other. Default "default"; named like a namespace. */
  stream?: string;
  /** Lives of the checkpoint keys other than those of the table. */
  keys?: KeyConfig;
  /** The clock of the keys' lives, in epoch ms. Default: the system's. */
  now?: () => number;
};

/** A detection stream in an lmdb store. `path` as for `lmdbStore`. */
export function lmdbDetectionStore(path: string, options: LmdbDetectionStoreOptions = {}): DetectionStore {
  requireKnownOptions("lmdbDetectionStore", options, ["namespace", "stream", "keys", "now"]);
  const { namespace = "default", stream = "default", now = Date.now } = options;
  requireStorePath(path);
  requireNamespaceName(namespace);
  requireStreamName(stream);
  return new LmdbDetectionStore(path, `d${namespace}/${stream}`, { now, keys: registerKeysWithConfig(options.keys) });
}

/** `number`: what the stream's other keys start with. */
type Head = { number: number; version: number; commitId: string | null; alertCount: number; auditCount: number };

/** Fields of ACCESS_DUPLICATE: by id, and by time. */
const SEEN_BY_ID = "i";
const SEEN_BY_TIME = "t";

class LmdbDetectionStore implements DetectionStore {
  readonly #environment: Environment;
  readonly #headKey: string;
  readonly #keys: CheckpointKeys;
  readonly #now: () => number;
  #isClosed = false;

  constructor(path: string, headKey: string, { now, keys }: { now: () => number; keys: CheckpointKeys }) {
    this.#environment = Environment.use(path);
    this.#headKey = headKey;
    this.#keys = keys;
    this.#now = now;
  }

  async load(groupKeys: readonly string[]): Promise<StoredDetection> {
    const nowMs = this.#now();
    const empty: StoredDetection = {
      version: 0,
      alertCount: 0,
      pieces: new Map(),
      seen: new Map(groupKeys.map((key) => [key, []])),
    };
    const loaded = await this.#look((rows, { version, alertCount }, prefix) => {
      const expiring = new ExpiringRows(prefix);
      return {
        version,
        alertCount,
        pieces: new Map([...rows.ascending(`${prefix}P`, `${prefix}P${AFTER_ALL}`)].map(({ value }) => pieceOf(value))),
        seen: new Map(groupKeys.map((key) => [key, this.#seen(rows, { expiring, key }, nowMs)])),
      };
    });
    return loaded ?? empty;
  }

  async commit(commit: DetectionCommit): Promise<DetectionCommitOutcome> {
    requireValidDetectionCommit(commit);
    return this.#environment.write((rows) => {
      const head = this.#head(rows) ?? { version: 0, commitId: null };
      if (commit.commitId === head.commitId) return "duplicate";
      if (commit.expectedVersion !== head.version) return "conflict";
      this.#apply(rows, this.#headOrNew(rows), commit);
      return "applied";
    });
  }

  alerts(page: SequencePage): Promise<SequencedText[]> {
    return this.#page("A", page);
  }

  auditEvents(page: SequencePage): Promise<SequencedText[]> {
    return this.#page("U", page);
  }

  getCheckpoint(of: SeriesLevel): Promise<number | null> {
    const { LAST_CHECKPOINTS } = this.#keys;
    return this.#number(LAST_CHECKPOINTS.key(of), LAST_CHECKPOINTS.field(of));
  }

  async setCheckpoint(of: SeriesLevel, time: number): Promise<number> {
    requireTime(time, "time of a checkpoint");
    return this.#environment.write((rows) => {
      const head = this.#headOrNew(rows);
      rows.put(this.#headKey, JSON.stringify(head));
      return this.#raise(rows, { expiring: new ExpiringRows(prefixOf(head.number)), of }, time);
    });
  }

  groupCheckpoint(groupKey: string): Promise<number | null> {
    return this.#number(this.#keys.STRATEGY_CHECKPOINT.key({ strategyGroupKey: groupKey }));
  }

  lastRunAtMs(groupKey: string): Promise<number | null> {
    return this.#number(this.#keys.ACCESS_RUN_TIMESTAMP.key({ strategyGroupKey: groupKey }));
  }

  async checkResults(of: SeriesLevel): Promise<CheckResultRow[]> {
    const key = this.#keys.CHECK_RESULT.key(of);
    const found = await this.#look((rows, _head, prefix) =>
      new ExpiringRows(prefix).fields(rows, { key }, this.#now()).map(({ value }) => resultOf(value)),
    );
    return found ?? [];
  }

  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    await this.#environment.release();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #apply(rows: WriteRows, head: Head, commit: DetectionCommit): void {
    const prefix = prefixOf(head.number);
    const expiring = new ExpiringRows(prefix);
    expiring.forget(rows, this.#now());
    for (const [name, value] of commit.piecesPut) rows.put(`${prefix}P${part(name)}`, `${name.length} ${name}${value}`);
    for (const name of commit.piecesRemoved) rows.remove(`${prefix}P${part(name)}`);
    const [alertCount, auditCount] = [
      head.alertCount + commit.alerts.length,
      head.auditCount + commit.auditEvents.length,
    ];
    for (const [at, alert] of commit.alerts.entries())
      rows.put(`${prefix}A${sortable(head.alertCount + at + 1)}`, alert);
    for (const [at, event] of commit.auditEvents.entries())
      rows.put(`${prefix}U${sortable(head.auditCount + at + 1)}`, event);
    for (const group of commit.groups) this.#takeGroup(rows, { expiring, group }, commit.atMs);
    for (const { time, ...of } of commit.checkpoints) this.#raise(rows, { expiring, of }, time);
    for (const added of commit.checkResults) this.#addResults(rows, expiring, added);
    rows.put(
      this.#headKey,
      JSON.stringify({ ...head, alertCount, auditCount, version: head.version + 1, commitId: commit.commitId }),
    );
  }

  #takeGroup(rows: WriteRows, { expiring, group }: { expiring: ExpiringRows; group: GroupTaking }, atMs: number): void {
    const { STRATEGY_CHECKPOINT, ACCESS_RUN_TIMESTAMP, ACCESS_DUPLICATE } = this.#keys;
    const parameters = { strategyGroupKey: group.key };
    const nowMs = this.#now();
    if (group.newestTime !== null)
      this.#raiseNumber(rows, expiring, {
        key: STRATEGY_CHECKPOINT.key(parameters),
        field: "",
        ttlMs: STRATEGY_CHECKPOINT.ttlMs,
        value: group.newestTime,
      });
    const runKey = ACCESS_RUN_TIMESTAMP.key(parameters);
    expiring.renew(rows, runKey, { ttlMs: ACCESS_RUN_TIMESTAMP.ttlMs, nowMs });
    expiring.put(rows, { key: runKey }, `${atMs}`);
    const key = ACCESS_DUPLICATE.key(parameters);
    expiring.renew(rows, key, { ttlMs: group.seenTtlMs, nowMs });
    for (const record of group.seenAdded) addSeen(rows, { expiring, key, nowMs }, record);
    if (group.seenForgottenBefore === null) return;
    const range = { key, from: SEEN_BY_TIME, to: `${SEEN_BY_TIME}${sortable(group.seenForgottenBefore)}` };
    for (const { field, value: recordId } of expiring.fields(rows, range, nowMs)) {
      expiring.remove(rows, { key, field });
      expiring.remove(rows, { key, field: `${SEEN_BY_ID}${part(recordId)}` });
    }
  }

  /** A checkpoint never moves backwards; a write that changes nothing still renews its life. */
  #raise(rows: WriteRows, { expiring, of }: { expiring: ExpiringRows; of: SeriesLevel }, time: number): number {
    const { LAST_CHECKPOINTS } = this.#keys;
    const [key, field] = [LAST_CHECKPOINTS.key(of), LAST_CHECKPOINTS.field(of)];
    return this.#raiseNumber(rows, expiring, { key, field, ttlMs: LAST_CHECKPOINTS.ttlMs, value: time });
  }

  #raiseNumber(
    rows: WriteRows,
    expiring: ExpiringRows,
    { key, field, ttlMs, value }: { key: string; field: string; ttlMs: number; value: number },
  ): number {
    const nowMs = this.#now();
    expiring.renew(rows, key, { ttlMs, nowMs });
    const name = { key, field: field === "" ? "" : part(field) };
    const stored = expiring.get(rows, name, nowMs);
    const standing = stored === undefined ? value : Math.max(Number(stored), value);
    expiring.put(rows, name, `${standing}`);
    return standing;
  }

  #addResults(rows: WriteRows, expiring: ExpiringRows, { of, rows: results, keepCount }: CheckResultsAdded): void {
    const { CHECK_RESULT } = this.#keys;
    const key = CHECK_RESULT.key(of);
    const nowMs = this.#now();
    expiring.renew(rows, key, { ttlMs: CHECK_RESULT.ttlMs, nowMs });
    for (const { time, text } of results)
      expiring.put(rows, { key, field: `${sortable(time)}${part(text)}` }, `${time} ${text}`);
    const stored = expiring.fields(rows, { key }, nowMs);
    for (const { field } of stored.slice(0, Math.max(stored.length - keepCount, 0)))
      expiring.remove(rows, { key, field });
  }

  #seen(rows: ReadRows, { expiring, key }: { expiring: ExpiringRows; key: string }, nowMs: number): SeenRecord[] {
    const seenKey = this.#keys.ACCESS_DUPLICATE.key({ strategyGroupKey: key });
    return expiring
      .fields(rows, { key: seenKey, from: SEEN_BY_TIME }, nowMs)
      .map(({ field, value }) => [numberOf(field.slice(1, 17)), value] as const);
  }

  async #number(key: string, field = ""): Promise<number | null> {
    const name = { key, field: field === "" ? "" : part(field) };
    const text = await this.#look((rows, _head, prefix) => new ExpiringRows(prefix).get(rows, name, this.#now()));
    return text == null ? null : Number(text);
  }

  async #page(table: string, page: SequencePage): Promise<SequencedText[]> {
    requireSequencePage(page);
    const texts = await this.#look((rows, _head, prefix) =>
      takeRows(
        rows.ascending(`${prefix}${table}${sortable(page.fromSeq)}`, `${prefix}${table}${AFTER_ALL}`),
        page.limit,
      ),
    );
    return (texts ?? []).map(({ value }, index) => ({ seq: page.fromSeq + index, value }));
  }

  /** null: nothing was committed to the stream yet. */
  async #look<T>(look: (rows: ReadRows, head: Head, prefix: string) => T): Promise<T | null> {
    return this.#environment.read((rows) => {
      const head = this.#head(rows);
      return head === null ? null : look(rows, head, prefixOf(head.number));
    });
  }

  #head(rows: ReadRows): Head | null {
    const text = rows.get(this.#headKey);
    return text === undefined ? null : (JSON.parse(text) as Head);
  }

  #headOrNew(rows: WriteRows): Head {
    return this.#head(rows) ?? { number: nextNumber(rows), version: 0, commitId: null, alertCount: 0, auditCount: 0 };
  }
}

/** A record id keeps one time, the last that it came with. */
function addSeen(
  rows: WriteRows,
  { expiring, key, nowMs }: { expiring: ExpiringRows; key: string; nowMs: number },
  [time, recordId]: SeenRecord,
): void {
  const byId = { key, field: `${SEEN_BY_ID}${part(recordId)}` };
  const old = expiring.get(rows, byId, nowMs);
  const digits = sortable(time);
  if (old === digits) return;
  if (old !== undefined) expiring.remove(rows, { key, field: `${SEEN_BY_TIME}${old}${part(recordId)}` });
  expiring.put(rows, byId, digits);
  expiring.put(rows, { key, field: `${SEEN_BY_TIME}${digits}${part(recordId)}` }, recordId);
}

function pieceOf(text: string): [string, string] {
  const space = text.indexOf(" ");
  const end = space + 1 + Number(text.slice(0, space));
  return [text.slice(space + 1, end), text.slice(end)];
}

function resultOf(text: string): CheckResultRow {
  const space = text.indexOf(" ");
  return { time: Number(text.slice(0, space)), text: text.slice(space + 1) };
}
