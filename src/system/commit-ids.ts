import { randomUUID } from "node:crypto";

/** Ids that no other process gives: one random part a process, and a counter. */
export function commitIds(): () => string {
  const prefix = randomUUID();
  let count = 0;
  return () => {
    count += 1;
    return `${prefix}:${count.toString(36)}`;
  };
}
