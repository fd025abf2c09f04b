/** Times as the command writes them: ISO with milliseconds, always UTC. */
export function isoTime(atMs: number): string {
  return new Date(atMs).toISOString();
}

/** `2026-11-23 06:49:54.767`, for people. */
export function dateTime(atMs: number): string {
  return isoTime(atMs).replace("T", " ").replace("Z", "");
}

export function clockTime(atMs: number): string {
  return isoTime(atMs).slice(11, 23);
}
