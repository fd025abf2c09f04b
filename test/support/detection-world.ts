import type { Advance } from "../../src/detection/core/advance.ts";
import { advance } from "../../src/detection/core/advance.ts";
import { parseCondition } from "../../src/detection/core/condition.ts";
import { applyChanges, emptyGroupState, type GroupState } from "../../src/detection/core/group-state.ts";
import { recordQueryOf, type Strategy } from "../../src/detection/core/strategy.ts";
import { groupStrategies, type StrategyGroup } from "../../src/detection/core/strategy-group.ts";
import { createRecordParser } from "../../src/detection/records/record.ts";
import type { StateEvent } from "../../src/detection/records/record-types.ts";

/** A strategy for tests: one level, one series per host; what matters to a test is given. */
export function strategy(given: Partial<Strategy> & { when?: string } = {}): Strategy {
  const { when = "> 5", ...rest } = given;
  return {
    name: "busy",
    query: { filter: {}, value: "value", time: "time", dimensions: ["host"], unit: null, precision: 2 },
    intervalSeconds: 10,
    latenessSeconds: rest.intervalSeconds ?? 10,
    levels: [
      { severity: "warning", when: parseCondition(when), trigger: { count: 2, window: 3 }, recovery: { count: 2 } },
    ],
    noData: null,
    resendSeconds: 300,
    labels: {},
    annotations: {},
    ...rest,
  };
}

export function groupOf(...strategies: Strategy[]): StrategyGroup {
  const [group, ...others] = groupStrategies(strategies);
  if (group === undefined || others.length > 0) throw new Error("the strategies of a test must be one group");
  return group;
}

/** Records as state events: `[time, value]` or `[time, value, host]`. */
export function eventsOf(
  group: StrategyGroup,
  records: readonly (readonly [number, number | null, string?])[],
): StateEvent[] {
  const parse = createRecordParser(recordQueryOf(group.query));
  return records.map(([time, value, host = "h1"]) => {
    const event = parse({ time, value, host });
    if ("rejected" in event) throw new Error(event.text);
    return event;
  });
}

/** A group with its state, which takes batches as a store's user would: advance, then apply. */
export class DetectionWorld {
  readonly group: StrategyGroup;
  state: GroupState = emptyGroupState();
  readonly steps: Advance[] = [];

  constructor(...strategies: Strategy[]) {
    this.group = groupOf(...strategies);
  }

  take(records: readonly (readonly [number, number | null, string?])[], options: { flush?: boolean } = {}): Advance {
    return this.takeEvents(eventsOf(this.group, records), options);
  }

  takeEvents(events: readonly StateEvent[], options: { flush?: boolean; clockTime?: number } = {}): Advance {
    const step = advance(this.state, this.group, { events, ...options });
    applyChanges(this.state, step.changes);
    this.steps.push(step);
    return step;
  }

  /** All alerts so far, as `time reason severity host`. */
  story(): string[] {
    return this.steps
      .flatMap(({ alerts }) => alerts)
      .map(({ time, reason, severity, alert }) => `${time} ${reason} ${severity} ${alert.labels["host"] ?? "-"}`);
  }
}

/** Points every ten seconds from `from` on, one per value. */
export function points(
  from: number,
  values: readonly (number | null)[],
  host = "h1",
): [number, number | null, string][] {
  return values.map((value, i) => [from + i * 10, value, host]);
}
