/**
 * Silences as the API shows them: those of the policy file, which only the file changes, and those that were made
 * since.
 */
import { createHash } from "node:crypto";
import type { Engine } from "../engine.ts";
import type { StoredSilence } from "../runtime/silences/stored-silences.ts";
import type { SilenceDesk } from "./alertmanager/routes.ts";
import { requireUuid, type ShownSilence } from "./alertmanager/silence-rules.ts";

/** Those of the file have ids of their own, which are no UUIDs: clients want one, so it is made of theirs. */
export function silenceDesk(engine: Pick<Engine, "saveSilence" | "expireSilence" | "silences">): SilenceDesk {
  return {
    all: async () => (await engine.silences()).map(shown),
    save: (silence) => engine.saveSilence(silence),
    expire: async (id) => void (await engine.expireSilence(id)),
    isFixed: (silence) => silence.isOfFile === true,
  };
}

function shown({ id, match, fromMs, toMs, author, comment, updatedAtMs }: StoredSilence): ShownSilence {
  const isOfFile = updatedAtMs === undefined;
  return {
    id: isUuid(id) ? id : uuidOf(id),
    match,
    fromMs,
    toMs,
    author,
    comment,
    updatedAtMs: updatedAtMs ?? fromMs,
    ...(isOfFile ? { isOfFile } : {}),
  };
}

function isUuid(id: string): boolean {
  try {
    requireUuid(id);
    return true;
  } catch {
    return false;
  }
}

function uuidOf(id: string): string {
  const digest = createHash("sha256").update(id).digest("hex");
  const parts = [digest.slice(0, 8), digest.slice(8, 12), `8${digest.slice(13, 16)}`, `8${digest.slice(17, 20)}`];
  return [...parts, digest.slice(20, 32)].join("-");
}
