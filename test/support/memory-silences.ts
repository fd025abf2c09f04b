import type { SilenceDesk } from "../../src/server/alertmanager/routes.ts";
import type { ShownSilence } from "../../src/server/alertmanager/silence-rules.ts";

/** Silences that hold nothing back: for tests of the API's own rules. */
export function memorySilences(): SilenceDesk {
  const silences = new Map<string, ShownSilence>();
  return {
    all: async () => [...silences.values()],
    save: async (silence) => void silences.set(silence.id, silence),
    isFixed: () => false,
  };
}
