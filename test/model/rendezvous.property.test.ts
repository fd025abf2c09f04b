import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { ownersOf } from "../../src/model/rendezvous.ts";

const MEMBERS = fc.uniqueArray(fc.uuid(), { minLength: 1, maxLength: 40 });
const PARTITIONS = fc.integer({ min: 1, max: 300 });

describe("owners of partitions", () => {
  test("are members, one for each partition, and the same whoever lists the members and in whatever order", () => {
    fc.assert(
      fc.property(MEMBERS, PARTITIONS, fc.gen(), (members, partitions, gen) => {
        const owners = ownersOf(members, partitions);
        expect(owners).toHaveLength(partitions);
        for (const owner of owners) expect(members).toContain(owner);
        const shuffled = gen(fc.shuffledSubarray, members, { minLength: members.length, maxLength: members.length });
        expect(ownersOf(shuffled, partitions)).toEqual(owners);
      }),
    );
  });

  test("change only where somebody comes or goes: partitions of all others stay", () => {
    fc.assert(
      fc.property(MEMBERS, fc.uuid(), PARTITIONS, (members, other, partitions) => {
        fc.pre(!members.includes(other));
        const before = ownersOf(members, partitions);
        const after = ownersOf([...members, other], partitions);
        for (const [partition, owner] of after.entries()) if (owner !== other) expect(owner).toBe(before[partition]);
      }),
    );
  });

  test("have about equal shares of many partitions", () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.uuid(), { minLength: 2, maxLength: 16 }), (members) => {
        const counts = new Map(members.map((member) => [member, 0]));
        for (const owner of ownersOf(members, 16_384)) counts.set(owner, (counts.get(owner) ?? 0) + 1);
        const fair = 16_384 / members.length;
        for (const count of counts.values()) expect(Math.abs(count - fair)).toBeLessThan(6 * Math.sqrt(fair));
      }),
    );
  });

  test("there are none without members", () => {
    expect(ownersOf([], 8)).toEqual([]);
  });
});
