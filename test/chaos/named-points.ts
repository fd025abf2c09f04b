/**
 * Points in the product at which a process of the harness kills or stops itself. A call is put there in the bundle that
 * the harness makes (test/simulation/simulation-build.ts); nothing of it is in `src`. When the source changes and a
 * piece is gone, the run says so: write the point anew.
 */
import type { SeededFault } from "../simulation/simulation-build.ts";

export type NamedPoint = {
  readonly name: string;
  /** Reached on every store, only by processes that share one, or only inside LMDB's or Redis's. */
  readonly on: "any" | "shared" | "lmdb" | "redis";
  /** Reached only by an engine that is asked to stop. */
  readonly atItsEnd?: true;
  /** Whoever comes there first does it. */
  readonly isRare?: true;
  readonly find: string;
  readonly file?: string;
  /** Where the call goes. `later`: behind the piece, a turn of the event loop later, so what it has sent is on its way. */
  readonly where: "before" | "behind" | "later";
  /** Only if this holds there. */
  readonly when?: string;
};

export const NAMED_POINTS: readonly NamedPoint[] = [
  {
    name: "while a group's lock is held",
    on: "any",
    find: "const brakes = isBraked ? await readBrakes(",
    where: "before",
    when: "lock !== null && lock.busyUntilMs === null",
  },
  {
    name: "before a commit",
    on: "any",
    find: "return commit === null ? renew(runtime, read) : runtime.store.commit(commit);",
    where: "before",
    when: "commit !== null",
  },
  {
    name: "while a commit is on its way",
    on: "redis",
    file: "redis-commits.ts",
    find: "const { keys, args } = commitArguments(partition, commits, this.#keys);",
    where: "later",
  },
  {
    name: "after a commit, before anybody hears of it",
    on: "any",
    find: "if (isApplied(outcome)) {\n      publish(runtime, decision, commit);",
    where: "before",
    when: "isApplied(outcome) && commit !== null",
  },
  {
    name: "after a commit, before its answer",
    on: "any",
    find: "const isStale = !isApplied(outcome) && read.precondition.isGuess;",
    where: "before",
    when: "isApplied(outcome) && commit !== null",
  },
  {
    name: "after claims, before their dispatch",
    on: "any",
    isRare: true,
    find: "this.#isBehind = isMore ?? this.#isBehind;",
    where: "behind",
    when: "effects.length > 0",
  },
  {
    name: "after a dispatch, before its result",
    on: "any",
    find: "this.#port.dispatch(effect, new AttemptRequest(attempt, { birth, subject, action }));",
    where: "later",
  },
  {
    name: "after an attempt, before its result is committed",
    on: "any",
    find: "this.#options.submit(envelope).then(\n      () => this.#performed(effect, { isKept: false }),",
    where: "before",
  },
  {
    name: "before due timers fire",
    on: "any",
    find: "const firing = { atMs, owners: await ownersOf(this.#runtime, partition, rows) };",
    where: "behind",
  },
  {
    name: "after a letter was sent",
    on: "shared",
    find: 'const letter: Letter = { kind: "ask", from: this.#runtime.owner, number, batches };',
    where: "later",
  },
  {
    name: "while taking a letter",
    on: "shared",
    find: "else this.#shared?.forwarding.take(letter);",
    where: "before",
    when: 'letter.kind === "ask"',
  },
  {
    name: "after deciding for another, before the answer",
    on: "shared",
    find: 'const letter: Letter = { kind: "answer", number, answers };',
    where: "behind",
  },
  {
    name: "while handing over its partitions",
    on: "shared",
    atItsEnd: true,
    isRare: true,
    find: "await this.#options.processes.leave(this.#runtime.owner);\n    await this.#tell(others);",
    where: "before",
  },
  { name: "before a flush", on: "lmdb", find: "await database.batch(() => {", where: "before" },
  {
    name: "inside a flush",
    on: "lmdb",
    file: "group-commit.ts",
    find: "if (writes.length === 0) return;",
    where: "later",
  },
  {
    name: "after a flush, before its answers",
    on: "lmdb",
    find: "database.resetReadTxn();\n    durable();",
    where: "before",
  },
];

/** What the bundle has there. */
export function seamOf({ name, find, file, where, when }: NamedPoint): SeededFault {
  const reach = `globalThis.becalmAtPoint?.(${JSON.stringify(name)});`;
  const call = where === "later" ? `setImmediate(() => { ${reach} });` : reach;
  const guarded = when === undefined ? call : `if (${when}) { ${call} }`;
  const replace = placed(find, guarded, where);
  return { name, find, replace, ...(file === undefined ? {} : { file }) };
}

/** A piece that begins with `else` gets a block of its own. */
function placed(find: string, call: string, where: NamedPoint["where"]): string {
  if (find.startsWith("else ")) return `else { ${call} ${find.slice("else ".length)} }`;
  return where === "before" ? `${call}\n    ${find}` : `${find}\n    ${call}`;
}
