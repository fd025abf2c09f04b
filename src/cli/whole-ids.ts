/**
 * Ids as people type them: the beginning of one is enough, as with git, if no other instance's id begins so. Programs
 * give whole ids to the library and to the HTTP API; only commands take beginnings.
 */
import { BecalmError } from "../model/errors.ts";
import { partitionOfId } from "../model/ids.ts";
import { notFound } from "../runtime/instance-reader.ts";
import type { Store } from "../stores/store.ts";
import { usedWrongly } from "./exit-codes.ts";

/** The ids among a command's arguments. */
export type NamedIds = { readonly id?: string | undefined; readonly ids?: readonly string[] };

/** The part of an instance reader that knows ids. */
type Ids = { readonly runtime: { readonly partitions: number; readonly store: Pick<Store, "oldest"> } };

/** The same arguments with whole ids. Whole ones are taken as they are: they cost nothing. */
export async function withWholeIds<Options extends NamedIds>(instances: Ids, options: Options): Promise<Options> {
  const { id, ids } = options;
  return {
    ...options,
    ...(id === undefined ? {} : { id: await wholeId(instances, id) }),
    ...(ids === undefined ? {} : { ids: await Promise.all(ids.map((one) => wholeId(instances, one))) }),
  };
}

/** The first two digits of an id name its partition, so at most the ids of one partition are read. */
const BEGINNING = /^(\d\d)-[0-9a-f]{1,23}$/;

/** Ids of a partition that are looked at: a list of them is read, no instance. */
const LOOKED_COUNT_MAX = 100_000;
const PAGE_COUNT = 1_000;
const CANDIDATE_COUNT_MAX = 10;

async function wholeId(instances: Ids, typed: string): Promise<string> {
  const partition = BEGINNING.exec(typed)?.[1];
  if (partitionOfId(typed) !== null || partition === undefined) return typed;
  const found = await idsThatBegin(instances, typed, Number(partition));
  const [only, ...others] = found;
  if (only === undefined) throw notFound(typed);
  if (others.length > 0) throw ambiguous(typed, found);
  return only;
}

/** At most one more than are listed. */
async function idsThatBegin({ runtime }: Ids, typed: string, partition: number): Promise<string[]> {
  const found: string[] = [];
  if (partition >= runtime.partitions) return found;
  let after: { createdAtMs: number; id: string } | undefined;
  for (let looked = 0; ; ) {
    const page = await runtime.store.oldest({
      partition,
      createdUntilMs: Number.MAX_SAFE_INTEGER,
      limit: PAGE_COUNT,
      ...(after === undefined ? {} : { after }),
    });
    found.push(...page.flatMap(({ id }) => (id.startsWith(typed) ? id : [])));
    looked += page.length;
    after = page.at(-1);
    if (after === undefined || found.length > CANDIDATE_COUNT_MAX) return found;
    if (looked >= LOOKED_COUNT_MAX) throw tooMany(typed, partition);
  }
}

function ambiguous(typed: string, found: readonly string[]): BecalmError {
  const listed = found.slice(0, CANDIDATE_COUNT_MAX);
  const more = found.length > listed.length ? ["  ... and more"] : [];
  const lines = [...listed.map((id) => `  ${id}`), ...more].join("\n");
  return new BecalmError(
    "BECALM_ARGUMENT_INVALID",
    `Several instances have an id that begins with ${typed}. Type more digits of one of them:\n${lines}`,
    { details: { id: typed, candidates: listed } },
  );
}

function tooMany(typed: string, partition: number): BecalmError {
  return usedWrongly(
    `Partition ${partition} has more than ${LOOKED_COUNT_MAX.toLocaleString("en")} instances, too many to look for the one whose id begins with ${typed}. Give the whole id: \`becalm ls\` shows it.`,
  );
}
