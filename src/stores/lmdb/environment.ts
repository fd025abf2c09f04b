/**
 * One LMDB file, shared by everything in this process that names its path. It is opened for reading by the first look,
 * and for writing by the first write, which makes this process the only writer (writer-lock.ts).
 *
 * Writes are answered when they are on the disk; how they share transactions: group-commit.ts.
 *
 * E1: no `overlappingSync`. It is the default of the binding and writes its own order of meta pages; without it a
 * commit is LMDB's own: pages, fdatasync, then the meta page through a descriptor that writes through. The binding's
 * promise comes after all of that. E2: no `eventTurnBatching`: it has a promise of its own, which nobody handles when a
 * commit fails, and that ends the process.
 */
import { accessSync, closeSync, constants, openSync, readSync, statSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { hasRoom } from "./disk-finding.ts";
import { GroupCommit, type Write } from "./group-commit.ts";
import { Journal } from "./journal.ts";
import { type Failed, NotADatabase, toBecalmError } from "./lmdb-errors.ts";
import { type Database, loadLmdb } from "./load-lmdb.ts";
import { makeFolder } from "./make-folder.ts";
import type { ReadRows, Row, WriteRows } from "./rows.ts";
import { takeWriterLock } from "./writer-lock.ts";

/** Larger than the system's, so that an alert's row stays inside a page: a longer one takes whole pages. */
const PAGE_BYTES = 8_192;
/** No table has these keys. */
const WRITER_KEY = "!writer";
const TRIAL_KEY = "!trial";
/** What a commit of a storm takes: a single row finds room in a file where nothing else does. */
const TRIAL_TEXT = "-".repeat(64 * 1_024);

const environments = new Map<string, Environment>();

/** The file of a store's path: a folder holds it under one name; a path that ends in `.mdb` is the file itself. */
export function databaseFile(path: string): string {
  const whole = resolve(path);
  return whole.endsWith(".mdb") ? whole : join(whole, "becalm.mdb");
}

export class Environment {
  readonly path: string;
  readonly #file: string;
  #users = 0;
  #database: Database | null = null;
  #unlock: (() => Promise<void>) | null = null;
  /** Opening, reopening and closing come one after the other. */
  #turn: Promise<unknown> = Promise.resolve();
  /** Of the open database. */
  #journal = new Journal();
  /** null: this process is not the writer. */
  #commits: GroupCommit | null = null;
  #shared = new Map<string, unknown>();

  /** The environment of a path. Each call is one use, given back by `release`. */
  static use(path: string): Environment {
    const file = databaseFile(path);
    const environment = environments.get(file) ?? new Environment(path, file);
    environments.set(file, environment);
    environment.#users += 1;
    return environment;
  }

  private constructor(path: string, file: string) {
    this.path = path;
    this.#file = file;
  }

  /** What all that use this environment in this process have in common while this process is the writer. */
  shared<T>(name: string, make: () => T): T {
    const value = this.#shared.has(name) ? (this.#shared.get(name) as T) : make();
    this.#shared.set(name, value);
    return value;
  }

  /** Looks at what was committed last; null: there is no store at this path. */
  async read<T>(look: (rows: ReadRows) => T): Promise<T | null> {
    const database = this.#database ?? (await this.#inTurn(() => this.#openForReading()));
    if (database === null) return null;
    try {
      const tables = readRows(database);
      if (this.#unlock === null) this.#lookAnew(database);
      else this.#journal.catchUp(tables);
      return look(this.#journal.over(tables));
    } catch (error) {
      throw await toBecalmError(error, this.#failed);
    }
  }

  /**
   * Writes, and resolves with what `run` gave when it is durable. `run` may be called more than once, and does not wait
   * for anything.
   */
  write<T>(run: (rows: WriteRows) => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const write: Write = { run, resolve: resolve as (value: unknown) => void, reject };
      if (this.#commits !== null) this.#commits.add(write);
      else this.#inTurn(() => this.#openAndAdd(write)).catch(reject);
    });
  }

  /**
   * Rejects if nothing can be written now. Nothing is written for it while the last write succeeded and the disk has
   * room: a flush now and then would wear the disk of a machine that has nothing to do.
   */
  async tryWrite(): Promise<void> {
    if (this.#commits?.hasFailed !== true && (await hasRoom(this.#file))) return;
    await this.write((rows) => rows.put(TRIAL_KEY, TRIAL_TEXT));
  }

  /**
   * Opens for writing, so that a second writer is reported before there is anything to write. @throws BECALM_STORE_BUSY
   */
  async beWriter(): Promise<void> {
    if (this.#unlock === null) await this.#inTurn(() => this.#openForWriting());
  }

  /**
   * Copies what was committed last into a new file, while others go on writing. False: there is no store at this path.
   */
  async copyTo(file: string): Promise<boolean> {
    const database = this.#database ?? (await this.#inTurn(() => this.#openForReading()));
    if (database === null) return false;
    await database.backup(file, true).catch(async (error: unknown) => {
      throw await toBecalmError(error, { path: file, file });
    });
    return true;
  }

  /** Gives one use back; the last one closes, after what was asked for is written. */
  async release(): Promise<void> {
    this.#users -= 1;
    if (this.#users > 0) return;
    await this.#inTurn(async () => {
      if (this.#users > 0) return;
      await this.#commits?.end();
      if (this.#users > 0) return;
      environments.delete(this.#file);
      await this.#close();
    });
  }

  get #failed(): Failed {
    return { path: this.path, file: this.#file };
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act).catch(async (error: unknown) => {
      throw await toBecalmError(error, this.#failed);
    });
    this.#turn = done.catch(() => {});
    return done;
  }

  async #openForReading(): Promise<Database | null> {
    if (this.#database !== null || statSync(this.#file, { throwIfNoEntry: false }) === undefined) return this.#database;
    this.#database = await this.#openDatabase({ readOnly: true });
    return this.#database;
  }

  async #openForWriting(): Promise<void> {
    if (this.#unlock !== null) return;
    await this.#close();
    makeFolder(dirname(this.#file));
    const database = await this.#openDatabase({ readOnly: false });
    try {
      this.#unlock = await takeWriterLock(
        {
          read: () => database.get(WRITER_KEY),
          replace: (previous, next) =>
            database.transactionSync(() => {
              if (database.get(WRITER_KEY) !== previous) return false;
              database.putSync(WRITER_KEY, next);
              return true;
            }),
        },
        { folder: dirname(this.#file), path: this.path },
      );
    } catch (error) {
      await database.close();
      throw error;
    }
    this.#database = database;
    this.#lookAnew(database);
    this.#commits = new GroupCommit(database, {
      journal: this.#journal,
      stored: this.#journal.over(readRows(database)),
      toError: (error) => toBecalmError(error, this.#failed),
    });
  }

  /** In one turn, so that nothing is closed between the two. */
  async #openAndAdd(write: Write): Promise<void> {
    await this.#openForWriting();
    (this.#commits as GroupCommit).add(write);
  }

  /** At what the last transaction left, whoever wrote it. */
  #lookAnew(database: Database): void {
    database.resetReadTxn();
    this.#journal.load(readRows(database));
  }

  async #openDatabase({ readOnly }: { readOnly: boolean }): Promise<Database> {
    requireDatabase(this.#file, { readOnly });
    const open = await loadLmdb();
    return open({
      path: this.#file,
      noSubdir: true,
      readOnly,
      pageSize: PAGE_BYTES,
      overlappingSync: false,
      eventTurnBatching: false,
      encoding: "string",
      keyEncoder: TEXT_KEYS,
    } as Parameters<typeof open>[0]) as Database;
  }

  async #close(): Promise<void> {
    const [database, unlock] = [this.#database, this.#unlock];
    this.#database = null;
    this.#unlock = null;
    this.#commits = null;
    this.#journal = new Journal();
    this.#shared = new Map();
    await database?.close();
    await unlock?.();
  }
}

/** In the first page, behind its head. */
const MAGIC = Buffer.from([0xde, 0xc0, 0xef, 0xbe]);
const MAGIC_AT = 24;

/**
 * A missing or empty file becomes a store. Of any other one this asks first: the binding takes the process down when it
 * cannot open it.
 */
function requireDatabase(file: string, { readOnly }: { readOnly: boolean }): void {
  if (statSync(file, { throwIfNoEntry: false }) === undefined) {
    accessSync(dirname(file), constants.W_OK);
    return;
  }
  accessSync(file, readOnly ? constants.R_OK : constants.R_OK | constants.W_OK);
  const descriptor = openSync(file, "r");
  try {
    const head = Buffer.alloc(MAGIC_AT + MAGIC.length);
    const length = readSync(descriptor, head, 0, head.length, 0);
    if (length > 0 && !head.subarray(MAGIC_AT).equals(MAGIC)) throw new NotADatabase("not a file of LMDB");
  } finally {
    closeSync(descriptor);
  }
}

/** Keys are texts; see row-keys.ts. */
const TEXT_KEYS = {
  writeKey: (key: string, target: Buffer, start: number): number => start + target.write(key, start, "utf8"),
  readKey: (source: Buffer, start: number, end: number): string => source.toString("utf8", start, end),
};

function readRows(database: Database): ReadRows {
  return {
    get: (key) => database.get(key),
    ascending: (from, to) => database.getRange({ start: from, end: to }) as Iterable<Row>,
    descending: (from, to) => descending(database, from, to),
  };
}

/** The binding's ranges begin with their start and stop before their end, in both directions. */
function* descending(database: Database, from: string, to: string): Generator<Row> {
  for (const row of database.getRange({ start: to, end: from, reverse: true }) as Iterable<Row>)
    if (row.key !== to) yield row;
}
