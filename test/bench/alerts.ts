/** The alerts of all benchmarks: label sets like those in test/data/prometheus-storm, about 600 bytes of JSON each, made one by one. */
import type { AlertInput } from "../../src/index.ts";

export type StormSpec = {
  readonly count: number;
  /** Alerts go round these; 0: each alert is a group of its own. */
  readonly groups: number;
  /** The number of the first alert; alerts with different numbers are different episodes. */
  readonly from?: number;
};

const STARTS_AT = "2026-11-23T06:49:54.757Z";

export function* stormAlerts({ count, groups, from = 0 }: StormSpec): Generator<AlertInput> {
  for (let number = from; number < from + count; number += 1) yield stormAlert(number, groups);
}

function stormAlert(number: number, groups: number): AlertInput {
  const cluster = `cluster-${groups === 0 ? number : number % groups}`;
  const instance = `10.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}:9500`;
  return {
    labels: {
      alertname: "InstanceDown",
      cluster,
      instance,
      job: "node",
      rack: `r${number % 40}`,
      region: "eu-1",
      severity: "critical",
      team: "infrastructure",
    },
    annotations: {
      description:
        "The node exporter has not answered for more than one minute; its host may be down, cut off from the network, or starting anew.",
      runbook_url: "https://runbooks.example/instance-down",
      summary: `${instance} of ${cluster} is down`,
    },
    startsAt: STARTS_AT,
    generatorURL: "http://prometheus.example:9090/graph?g0.expr=up%7Bjob%3D%22node%22%7D+%3D%3D+0&g0.tab=1",
  };
}

/** Pieces of an iterable, so that no more than a piece is in memory. */
export function* chunksOf<Item>(items: Iterable<Item>, size: number): Generator<Item[]> {
  let chunk: Item[] = [];
  for (const item of items) {
    chunk.push(item);
    if (chunk.length < size) continue;
    yield chunk;
    chunk = [];
  }
  if (chunk.length > 0) yield chunk;
}
