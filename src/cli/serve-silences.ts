import { createHash } from "node:crypto";
import type { Silence } from "../policy/policy.ts";
import { refusedText } from "../server/alertmanager/protocol-refusal.ts";
import type { SilenceDesk } from "../server/alertmanager/routes.ts";
import type { ShownSilence } from "../server/alertmanager/silence-rules.ts";

/** Silences of the policy file, as the API shows them: under ids that stay the same while their text does. */
export function fileSilences(silences: () => readonly Silence[]): SilenceDesk {
  return {
    all: async () => silences().map(shown),
    save: async () => {
      throw refusedText(400, "Failed to create silence: silences are made in the policy file, and read by a reload");
    },
    isFixed: () => true,
  };
}

function shown(silence: Silence): ShownSilence {
  const { match, fromMs, toMs, author, comment } = silence;
  return { id: idOf(silence), match, fromMs, toMs, author, comment, updatedAtMs: fromMs };
}

function idOf(silence: Silence): string {
  const digest = createHash("sha256").update(JSON.stringify(silence)).digest("hex");
  return [
    digest.slice(0, 8),
    digest.slice(8, 12),
    `8${digest.slice(13, 16)}`,
    `8${digest.slice(17, 20)}`,
    digest.slice(20, 32),
  ].join("-");
}
