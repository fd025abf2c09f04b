import { expect, test } from "vitest";
import { withWholeIds } from "../../src/cli/whole-ids.ts";

type Request = { readonly limit: number; readonly after?: { readonly createdAtMs: number } };

/** A partition of `count` instances, whose ids begin with 03-00000000, 03-00000001, ... */
function partitionOf(count: number) {
  let asked = 0;
  const idAt = (index: number) => `03-${index.toString(16).padStart(8, "0")}${"a".repeat(16)}`;
  const oldest = ({ limit, after }: Request) => {
    asked += 1;
    const first = after === undefined ? 0 : after.createdAtMs + 1;
    const length = Math.max(Math.min(limit, count - first), 0);
    return Promise.resolve(Array.from({ length }, (_, at) => ({ id: idAt(first + at), createdAtMs: first + at })));
  };
  return { instances: { runtime: { partitions: 16, store: { oldest } } }, idAt, asked: () => asked };
}

test("a whole id, and what is none, is taken as it is without asking the store", async () => {
  const { instances, idAt, asked } = partitionOf(5);
  for (const id of [idAt(99), "nonsense", "03-", "3-00", "03-0000_1_0", "../x"])
    expect(await withWholeIds(instances, { id, ids: [id] })).toEqual({ id, ids: [id] });
  expect(asked()).toBe(0);
});

test("the beginning of an id is made whole, wherever in the partition it stands", async () => {
  const { instances, idAt } = partitionOf(4_099);
  const [first, last] = [idAt(0), idAt(4_098)];
  const named = await withWholeIds(instances, { id: last.slice(0, 11), ids: [first.slice(0, 11)], all: true });
  expect(named).toEqual({ id: last, ids: [first], all: true });
});

test("the beginning of several ids is refused with ten of them at most, and that of none is not found", async () => {
  const { instances, idAt } = partitionOf(40);
  const several = withWholeIds(instances, { id: "03-0000002" });
  await expect(several).rejects.toMatchObject({
    code: "BECALM_ARGUMENT_INVALID",
    details: { candidates: Array.from({ length: 8 }, (_, at) => idAt(32 + at)) },
  });
  await expect(withWholeIds(instances, { id: "03-0" })).rejects.toThrow(`${idAt(9)}\n  ... and more`);
  for (const id of ["03-f", "99-0"])
    await expect(withWholeIds(instances, { id })).rejects.toMatchObject({ code: "BECALM_NOT_FOUND" });
});

test("a partition that is too large to look through is said to be, after a bounded number of reads", async () => {
  const { instances, idAt, asked } = partitionOf(10_000_000);
  const rejected = withWholeIds(instances, { id: idAt(5).slice(0, 11) });
  await expect(rejected).rejects.toThrow("more than 100,000 instances");
  expect(asked()).toBe(100);
});
