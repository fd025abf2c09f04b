/** The forms that records come in. */
export const RECORD_FORMATS = [
  "csv",
  "jsonl",
  "json",
  "prometheus",
  "victoriametrics",
  "influx-csv",
  "telegraf",
  "collectd-csv",
  "sadf",
  "cloudwatch",
] as const;

export type RecordFormat = (typeof RECORD_FORMATS)[number];
