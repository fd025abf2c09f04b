/**
 * One viewer: what it was told, what waits for it, and how fast it takes it.
 *
 * Owns: the queue of commits for this viewer. Does not own: the connection, the sources.
 * V1 the queue and what is handed to the connection are bounded in bytes; a commit that does not fit empties the queue,
 * and the viewer is
 *    brought up to date from the sources once it takes frames again.
 * V2 one loop per viewer reads sources and queue in turn, so a checkpoint is never told after a later step (telling.ts,
 * T2).
 * V3 commits are turned into frames here, not on the path of the commit.
 */
import type { InspectedInstance, InspectSource, PendingCommit } from "./inspected.ts";
import type { Pacer } from "./pacer.ts";
import { type Listener, Telling } from "./telling.ts";

export const QUEUE_BYTES_MAX = 1024 * 1024;
/** Handed to the connection and not yet taken by the network. */
export const BUFFER_BYTES_MAX = 1024 * 1024;
const SYNC_RETRY_MS = 1_000;
const TURNS_PER_PAGE = 10;

/** The connection as a viewer uses it. */
export type Wire = {
  /** Bytes that were handed over and did not leave yet. */
  readonly waitingBytes: () => number;
  /** Resolves when the bytes handed over so far have left, or the connection is over. */
  readonly drained: () => Promise<void>;
};

export type ViewerOptions = {
  readonly wire: Wire;
  readonly pacer: Pacer;
  readonly listener: Listener;
  readonly sources: () => readonly InspectSource[];
};

type Sync = {
  readonly pages: AsyncIterator<readonly InspectedInstance[]>;
  readonly source: InspectSource;
  readonly groups: Set<string>;
};

export class Viewer {
  readonly #options: ViewerOptions;
  readonly #telling: Telling;
  #queue: PendingCommit[] = [];
  #queueBytes = 0;
  /** The sources are to be read, from the first on. */
  #needsSync = true;
  /** The queue did not hold what came: commits are dropped until the sources are read again. */
  #isLost = false;
  #turnsWithoutPage = 0;
  #sources: InspectSource[] = [];
  #sync: Sync | null = null;
  #isOver = false;
  #wake: () => void = () => {};

  constructor(options: ViewerOptions) {
    this.#options = options;
    this.#telling = new Telling(options.listener);
  }

  /** Bytes that wait for this viewer, here and in its connection. */
  get heldBytes(): number {
    return this.#queueBytes + this.#options.wire.waitingBytes();
  }

  get isUpToDate(): boolean {
    return !this.#needsSync && this.#sync === null && this.#sources.length === 0 && this.#queue.length === 0;
  }

  offer(commit: PendingCommit): void {
    if (this.#isOver || this.#isLost) return;
    this.#queue.push(commit);
    this.#queueBytes += commit.bytes;
    if (this.#queueBytes > QUEUE_BYTES_MAX) this.#lose();
    this.#wake();
  }

  /** Reads the sources again, a new one among them. */
  resync(): void {
    this.#needsSync = true;
    this.#wake();
  }

  close(): void {
    this.#isOver = true;
    this.#lose();
    this.#wake();
  }

  #lose(): void {
    this.#queue = [];
    this.#queueBytes = 0;
    this.#isLost = true;
    this.#needsSync = true;
  }

  /** Runs until the viewer is closed. */
  async run(): Promise<void> {
    const { wire, pacer } = this.#options;
    while (!this.#isOver) {
      if (this.isUpToDate) await new Promise<void>((resolve) => (this.#wake = resolve));
      if (wire.waitingBytes() > BUFFER_BYTES_MAX) await wire.drained();
      await pacer.turn();
      if (this.#isOver) return;
      if (this.#needsSync && this.#sync === null) this.#beginSync();
      pacer.slice(() => this.#tellNext());
      if (wire.waitingBytes() <= BUFFER_BYTES_MAX && this.#isPageDue()) await pacer.reading(() => this.#syncNext());
    }
  }

  /**
   * Steps come before checkpoints, so that few steps are told as a mere state; yet the sources get on while steps keep
   * coming.
   */
  #isPageDue(): boolean {
    this.#turnsWithoutPage += 1;
    if (this.#queue.length > 0 && this.#turnsWithoutPage < TURNS_PER_PAGE) return false;
    this.#turnsWithoutPage = 0;
    return true;
  }

  #beginSync(): void {
    this.#needsSync = false;
    this.#isLost = false;
    this.#sources = [...this.#options.sources()];
  }

  /** True: there is more, and the connection takes it. */
  #tellNext(): boolean {
    const commit = this.#queue.shift();
    if (commit === undefined) return false;
    this.#queueBytes -= commit.bytes;
    this.#telling.commit(commit.read());
    return this.#queue.length > 0 && this.#options.wire.waitingBytes() <= BUFFER_BYTES_MAX;
  }

  /** Tells the next page of the sources. A source that fails is read again later, from its start. */
  async #syncNext(): Promise<void> {
    const source = this.#sync?.source ?? this.#sources.shift();
    if (source === undefined) return;
    this.#sync ??= { source, pages: source.pages()[Symbol.asyncIterator](), groups: new Set() };
    try {
      const page = await this.#sync.pages.next();
      if (page.done === true) this.#sync = null;
      else await this.#tellPage(page.value, this.#sync);
    } catch {
      this.#sync = null;
      this.#sources = [];
      await new Promise((resolve) => setTimeout(resolve, SYNC_RETRY_MS).unref());
      this.#needsSync = true;
    }
  }

  async #tellPage(instances: readonly InspectedInstance[], { source, groups }: Sync): Promise<void> {
    for (const { groupId } of instances) {
      if (groupId === null || groups.has(groupId)) continue;
      groups.add(groupId);
      const group = await source.group(groupId);
      if (group !== null) this.#telling.group(group, "peers.changed");
    }
    this.#options.pacer.slice(() => {
      for (const instance of instances) this.#telling.instance(instance);
      return false;
    });
  }
}
