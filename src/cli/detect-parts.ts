/** What a run of `becalm detect` is made of. */
import type { Strategy } from "../detection/core/strategy.ts";
import type { RecordFormat } from "../formats/record-format-names.ts";
import type { DetectNotes } from "./detect-notes.ts";
import type { AlertTeller } from "./detected-alerts.ts";
import type { EnrichmentFile } from "./enrichment-file.ts";
import type { FieldCensus } from "./field-census.ts";
import type { Interrupts } from "./interrupts.ts";
import type { Terminal } from "./terminal.ts";
import type { Detecting, StoreOptions } from "./with-namespace.ts";

export type DetectCommandOptions = StoreOptions & {
  readonly strategies: string;
  readonly records: readonly string[];
  readonly format?: RecordFormat;
  readonly delimiter?: string;
  readonly enrich?: string;
  readonly stream: string;
  readonly source?: string;
  readonly fromSeq?: number;
  readonly checkpoints: boolean;
  readonly sort: boolean;
  readonly live: boolean;
  readonly flush: boolean;
  readonly strict: boolean;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly log?: string;
};

export type DetectInput = { readonly path: string; readonly source: string; readonly isLive: boolean };

export type Parts = {
  readonly terminal: Terminal;
  readonly options: DetectCommandOptions;
  readonly strategies: readonly Strategy[];
  readonly inputs: readonly DetectInput[];
  readonly census: FieldCensus;
  readonly teller: AlertTeller;
  readonly interrupts: Interrupts;
  readonly opened: Detecting;
  readonly notes: DetectNotes;
  readonly enrichment: EnrichmentFile | null;
};
