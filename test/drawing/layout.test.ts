import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { layoutChart } from "../../src/drawing/chart-layout.ts";
import { chartOf } from "../../src/drawing/chart-model.ts";
import { faultsOf } from "./layout-faults.ts";
import { randomMachine } from "./random-machines.ts";

describe("the layout of a chart", () => {
  test("keeps the boxes, labels and lines of the action-instance machine apart", () => {
    expect(faultsOf(layoutChart(chartOf(actionInstanceMachine)))).toEqual([]);
  });

  test("keeps them apart for machines of any shape", () => {
    fc.assert(
      fc.property(randomMachine, (machine) => {
        expect(faultsOf(layoutChart(chartOf(machine)))).toEqual([]);
      }),
      { numRuns: 100, seed: 1 },
    );
  });

  test("places every state and every edge once", () => {
    const chart = chartOf(actionInstanceMachine);
    const { states, edges } = layoutChart(chart);
    expect(states.map(({ state }) => state.id).sort()).toEqual(chart.states.map(({ id }) => id).sort());
    expect(edges.map(({ edge }) => edge)).toEqual(chart.edges);
  });

  test("fits the action-instance machine into a page of 1,800 by 1,600", () => {
    const { width, height } = layoutChart(chartOf(actionInstanceMachine));
    expect(width).toBeLessThan(1_800);
    expect(height).toBeLessThan(1_600);
  });
});
