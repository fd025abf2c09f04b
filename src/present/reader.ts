/** For whom a text is: which language they read, and in which zone their clock runs. */
import type { Language } from "./sentences.ts";
import { type Times, UTC } from "./time-text.ts";

export type Reader = {
  readonly language: Language;
  readonly times: Times;
  /** The one of the two that this reader reads. Every text of a command is written so, English beside Chinese. */
  readonly say: (en: string, zh: string) => string;
};

export function readerOf(language: Language, times: Times): Reader {
  return { language, times, say: language === "zh" ? (_, zh) => zh : (en) => en };
}

export const ENGLISH_UTC = readerOf("en", UTC);
