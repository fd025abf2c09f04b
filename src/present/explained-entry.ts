/** One entry of a history in one language, for programs. */
import type { AuditEntry, History } from "../instance/audit-types.ts";
import { BecalmError } from "../model/errors.ts";
import { LANGUAGES, type Language, sentenceAbout, sentenceOf } from "./sentences.ts";
import { isoTime } from "./time-text.ts";

export type ExplainOptions = {
  /** `en` (the default) or `zh`. */
  readonly lang?: Language | undefined;
  /**
   * The history that the entry is of. With it the sentence also says how often the instance was decided again, and what
   * a summary or an approval request is about, as `becalm show` does.
   */
  readonly history?: History | undefined;
};

/**
 * What an entry of a history says to people: what the step did, and why.
 *
 * @throws BECALM_ARGUMENT_INVALID if the language is unknown
 */
export function explain(entry: AuditEntry, { lang = "en", history }: ExplainOptions = {}): string {
  if (!LANGUAGES.includes(lang))
    throw new BecalmError(
      "BECALM_ARGUMENT_INVALID",
      `Unknown language ${JSON.stringify(lang)}. Use one of ${LANGUAGES.join(", ")}.`,
    );
  if (history !== undefined) return sentenceOf(entry, history)[lang];
  const { instance, policy } = entry;
  return sentenceAbout(entry, { instance, policy, notice: null, decidedAgain: 0, time: isoTime })[lang];
}
