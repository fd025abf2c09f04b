/**
 * A long list, a page at a time: the first page follows what is committed while somebody is at the top, and stands
 * still while somebody reads further down.
 */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { get, type InstanceRow, type Refused } from "./api.ts";
import { refused, useSession } from "./data.ts";

export type Page = { readonly instances: readonly InstanceRow[]; readonly next: string | null };

/** Rows that are kept at most: then the filters have to be narrower. */
const ROW_COUNT_MAX = 20_000;
export const PAGE_COUNT = 100;
/** Below, somebody is at the top. */
const TOP_PX = 300;

export type Range = { readonly from: number; readonly to: number };

type Kept = {
  readonly path: string;
  readonly pages: readonly Page[];
  readonly error: Refused | null;
  readonly hasNewer: boolean;
};

const NOTHING: Kept = { path: "", pages: [], error: null, hasNewer: false };

export type Pages = {
  /** null: nothing has come yet. */
  readonly rows: readonly InstanceRow[] | null;
  readonly next: string | null;
  /** The last page is short: the server has looked at as many rows as it does for one page. */
  readonly isShort: boolean;
  readonly error: Refused | null;
  readonly hasNewer: boolean;
  readonly loadMore: () => void;
  readonly toTop: () => void;
};

/** `path`: without limit and cursor. `range`: the rows that are seen. */
export function usePages(path: string, range: () => Range): Pages {
  const { beat } = useSession();
  const [kept, setKept] = useState<Kept>(NOTHING);
  const newest = useRef(kept);
  newest.current = kept;
  const reading = useRef<string | null>(null);
  const isLoadingMore = useRef(false);

  const keep = (pages: readonly Page[], more: Partial<Kept> = {}) =>
    setKept({ path, pages, error: null, hasNewer: false, ...more });
  const fail = (error: unknown) => setKept((before) => ({ ...before, path, error: refused(error) }));
  const isCurrent = () => reading.current === path;

  const readTop = async () => {
    const page = await get<Page>(pageAt(path, null));
    if (isCurrent()) keep([page]);
  };
  /** What is seen is read again, and whether there is something newer. */
  const readSeen = async () => {
    const { pages } = newest.current;
    const [first] = (await get<Page>(pageAt(path, null, 1))).instances;
    const again = await Promise.all(
      pages.map(async (page, index) => {
        const cursor = index === 0 ? null : (pages[index - 1]?.next ?? null);
        return overlaps(range(), pages, index) ? get<Page>(pageAt(path, cursor)) : page;
      }),
    );
    if (!isCurrent()) return;
    const now = renewedPages(newest.current.pages, pages, again);
    keep(now, { hasNewer: first !== undefined && first.id !== pages[0]?.instances[0]?.id });
  };
  const read = () => (newest.current.path !== path || scrollY < TOP_PX ? readTop() : readSeen());

  useEffect(() => {
    if (reading.current === path) return;
    reading.current = path;
    void read()
      .catch((error: unknown) => isCurrent() && fail(error))
      .then(() => {
        if (isCurrent()) reading.current = null;
      });
  }, [path, beat]);

  const { pages, error, hasNewer } = kept.path === path ? kept : NOTHING;
  const last = pages.at(-1);
  const next = last?.next ?? null;
  const all = useMemo(() => pages.flatMap(({ instances }) => instances), [pages]);
  const count = all.length;
  const loadMore = () => {
    if (next === null || isLoadingMore.current || count >= ROW_COUNT_MAX) return;
    isLoadingMore.current = true;
    get<Page>(pageAt(path, next))
      .then((page) => setKept((before) => withNext(before, path, { cursor: next, page })), fail)
      .finally(() => {
        isLoadingMore.current = false;
      });
  };
  return {
    rows: pages.length === 0 ? null : all,
    next: count >= ROW_COUNT_MAX ? null : next,
    isShort: last !== undefined && last.instances.length < PAGE_COUNT,
    error,
    hasNewer,
    loadMore,
    toTop: () => {
      scrollTo({ top: 0 });
      void readTop().catch(fail);
    },
  };
}

function pageAt(path: string, cursor: string | null, limit = PAGE_COUNT): string {
  const query = `limit=${limit}${cursor === null ? "" : `&cursor=${encodeURIComponent(cursor)}`}`;
  return `${path}${path.includes("?") ? "&" : "?"}${query}`;
}

/**
 * `again`: what was read of `before`. More pages may have come meanwhile, and new rows in the first one would move all
 * that follow.
 */
function renewedPages(kept: readonly Page[], before: readonly Page[], again: readonly Page[]): Page[] {
  return kept.map((page, index) => {
    const fresh = again[index];
    return fresh === undefined || fresh === before[index] ? page : renewed(page, fresh);
  });
}

/** With the next page, unless the list has changed since it was asked for. */
function withNext(kept: Kept, path: string, { cursor, page }: { cursor: string; page: Page }): Kept {
  if (kept.path !== path || kept.pages.at(-1)?.next !== cursor) return kept;
  return { ...kept, pages: [...kept.pages, page] };
}

/** The same rows as they are now. */
function renewed(page: Page, { instances }: Page): Page {
  const now = new Map(instances.map((row) => [row.id, row]));
  return { ...page, instances: page.instances.map((row) => now.get(row.id) ?? row) };
}

function overlaps({ from, to }: Range, pages: readonly Page[], index: number): boolean {
  const start = pages.slice(0, index).reduce((sum, { instances }) => sum + instances.length, 0);
  return from < start + (pages[index]?.instances.length ?? 0) && to > start;
}
