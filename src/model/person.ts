/** The names under which people act, as the audit keeps them. */

/** Behind the name of somebody who answered through a signed link. */
export const BY_LINK = " (by link)";

/** Behind a name that a request gave, and nothing proved. */
export const UNPROVED = " (unauthenticated)";

/** Whether this person is among those who granted it. */
export function hasGranted(grants: readonly string[], by: string): boolean {
  return grants.some((one) => personOf(one) === personOf(by));
}

/** One person, however the name is spelt and whichever way the answer came: what two answers are compared by. */
function personOf(by: string): string {
  const name = by.normalize("NFKC").trim().replace(/\s+/g, " ").toLowerCase();
  const ending = [BY_LINK, UNPROVED].find((end) => name.endsWith(end));
  return ending === undefined ? name : name.slice(0, -ending.length);
}
