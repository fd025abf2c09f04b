/** What a group is, survives being written and read. */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { FormingMember } from "../../src/convergence/forming.ts";
import { type Group, newGroup } from "../../src/convergence/group.ts";
import { decodeGroup, encodeGroup } from "../../src/convergence/group-codec.ts";

const EPOCH_MS = 1_795_416_594_757;
const hex = fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 24, maxLength: 24 });

const member: fc.Arbitrary<FormingMember> = fc.record({
  id: fc.tuple(fc.integer({ min: 10, max: 99 }), hex).map(([partition, digits]) => `${partition}-${digits}`),
  createdAtMs: fc.integer({ min: EPOCH_MS - 100_000_000, max: EPOCH_MS + 100_000_000 }),
  standing: fc.constantFrom("none" as const, "inProgress" as const, "succeeded" as const, "failed" as const),
  hadAttempt: fc.boolean(),
  succeededAtMs: fc.option(fc.integer({ min: EPOCH_MS - 100_000_000, max: EPOCH_MS + 200_000_000 })),
});

test("a forming group is read as it was written, whenever its members were made and whatever became of them", () => {
  fc.assert(
    fc.property(fc.array(member, { maxLength: 40 }), (forming) => {
      const group = { ...newGroup("disk:!sha1#00ff", "disk", EPOCH_MS), forming };
      expect(decodeGroup(group.id, encodeGroup(group))).toEqual(group);
      // The same members in another formation, whose times count from elsewhere.
      const later = { ...group, epoch: EPOCH_MS + 1 };
      expect(decodeGroup(later.id, encodeGroup(later))).toEqual(later);
    }),
  );
});

/** All words anew, as the format says. */
function slowText({ forming, epoch }: Group): string {
  const letters = { none: "n", inProgress: "p", succeeded: "s", failed: "f" };
  const words = forming.map(({ id, createdAtMs, standing, hadAttempt, succeededAtMs }) => {
    const letter = hadAttempt ? letters[standing].toUpperCase() : letters[standing];
    const times = [createdAtMs - epoch, ...(succeededAtMs === null ? [] : [succeededAtMs - createdAtMs])];
    return [id, letter, ...times.map((time) => time.toString(36))].join(",");
  });
  return words.join(" ");
}

const change = fc.oneof(
  fc.record({ kind: fc.constant("add" as const), members: fc.array(member, { maxLength: 30 }) }),
  fc.record({ kind: fc.constant("replace" as const), at: fc.nat(200), by: member }),
  fc.record({ kind: fc.constant("drop" as const), at: fc.nat(200), count: fc.nat(20) }),
  fc.record({ kind: fc.constant("form anew" as const), epoch: fc.integer({ min: EPOCH_MS, max: EPOCH_MS + 9_999 }) }),
);

test("a group that changes step by step is written as one that is written for the first time", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 20 }), (changes) => {
      let group = newGroup("disk:!sha1#00ff", "disk", EPOCH_MS);
      for (const one of changes) {
        const forming = group.forming.slice();
        if (one.kind === "add") forming.push(...one.members);
        if (one.kind === "replace" && one.at < forming.length) forming[one.at] = one.by;
        if (one.kind === "drop") forming.splice(one.at, one.count);
        group = { ...group, forming, epoch: one.kind === "form anew" ? one.epoch : group.epoch };
        expect(JSON.parse(encodeGroup(group))).toEqual({ format: 2, ...group, forming: slowText(group) });
      }
    }),
  );
});

test("a member whose id needs escapes is read as it was written", () => {
  const forming: FormingMember[] = [
    { id: '00-"\\é', createdAtMs: EPOCH_MS, standing: "none", hadAttempt: true, succeededAtMs: null },
  ];
  const group = { ...newGroup("disk:!sha1#00ff", "disk", EPOCH_MS), forming };
  expect(decodeGroup(group.id, encodeGroup(group))).toEqual(group);
});

test("a group of format 1, with a list for each member, is read", () => {
  const forming: FormingMember[] = [
    { id: "00-a", createdAtMs: EPOCH_MS, standing: "succeeded", hadAttempt: true, succeededAtMs: EPOCH_MS + 5 },
    { id: "00-b", createdAtMs: EPOCH_MS + 1, standing: "none", hadAttempt: false, succeededAtMs: null },
  ];
  const group = { ...newGroup("disk:!sha1#00ff", "disk", EPOCH_MS), forming };
  const lists = [
    ["00-a", EPOCH_MS, "succeeded", 1, EPOCH_MS + 5],
    ["00-b", EPOCH_MS + 1, "none", 0],
  ];
  expect(decodeGroup(group.id, JSON.stringify({ ...group, format: 1, forming: lists }))).toEqual(group);
});

test.each([
  ["of a later format", { format: 3 }],
  ["of format 1 whose members are a text", { format: 1 }],
  ["with a member that is none", { forming: "00-a,x,0" }],
  ["with a member without its time", { forming: "00-a,S" }],
  ["whose members are a list", { forming: [] }],
])("a group %s is refused", (_, fields) => {
  const group = newGroup("disk:!sha1#00ff", "disk", EPOCH_MS);
  const value = JSON.stringify({ ...JSON.parse(encodeGroup(group)), ...fields });
  expect(() => decodeGroup(group.id, value)).toThrow(expect.objectContaining({ code: "BECALM_GROUP_UNREADABLE" }));
});
