/**
 * Who owns which partition: of all members the one whose weight for it is the highest. Whoever knows the same members
 * comes to the same owners, without asking anybody; and when one comes or goes, only the partitions that it gets, or
 * had, change hands.
 */

/** The owner of each partition, in order. Empty: there is nobody. */
export function ownersOf(members: readonly string[], partitions: number): readonly string[] {
  const seeds = members.map((member) => [member, hashOf(member)] as const);
  return Array.from({ length: seeds.length === 0 ? 0 : partitions }, (_, partition) => {
    let owner = "";
    let highest = -1;
    for (const [member, seed] of seeds) {
      const weight = weightOf(seed, partition);
      // Equal weights are as good as impossible; the greater id wins, so that the order of the members never matters.
      if (weight > highest || (weight === highest && member > owner)) {
        owner = member;
        highest = weight;
      }
    }
    return owner;
  });
}

/** FNV-1a, 32 bits. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
  return hash >>> 0;
}

/** The finalizer of MurmurHash3 over both: every bit of either changes about half of the bits. */
function weightOf(seed: number, partition: number): number {
  let mixed = seed ^ Math.imul(partition + 1, 0x9e3779b1);
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}
