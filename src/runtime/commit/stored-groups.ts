import type { Decision } from "../../instance/decide.ts";
import type { Commit } from "../../stores/store.ts";
import { type Batch, type Envelope, mailboxKey } from "./batch.ts";
import { GroupCache } from "./group-cache.ts";
import type { BatchRead, GroupSource } from "./group-source.ts";
import { type ReadFrom, readStored } from "./stored-snapshot.ts";

/** The source that reads each batch from the store. */
export class StoredGroups implements GroupSource {
  readonly #from: ReadFrom;
  readonly #cache = new GroupCache();

  constructor(from: ReadFrom) {
    this.#from = from;
  }

  guess(_batch: Batch): null {
    return null;
  }

  read(batch: Batch, turn: number | null): Promise<BatchRead> {
    return readStored(this.#from, batch, { cache: this.#cache, turn });
  }

  committing({ group }: Decision, { group: write, commitId }: Commit): void {
    if (group === null || write?.kind !== "write") return;
    this.#cache.set({ version: write.expectedVersion + 1, value: write.value, group, commitId });
  }

  lost({ snapshot }: BatchRead): void {
    this.#cache.forget(mailboxKey(snapshot.batch.address));
  }

  isAhead(_envelopes: readonly Envelope[]): boolean {
    return false;
  }
}
