import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createMachine } from "xstate";
import { actionInstanceMachine } from "../../machines/action-instance.machine.ts";
import { convergenceGroupMachine } from "../../machines/convergence-group.machine.ts";
import { labelText } from "../../src/drawing/chart-model.ts";
import { chartOf, DRAWING_FORMATS, drawChart } from "../../src/drawing/index.ts";
import { escapeMermaid } from "../../src/drawing/mermaid.ts";
import { escapeXml } from "../../src/drawing/svg.ts";
import { columnsOf } from "../../src/present/text-width.ts";
import { randomMachine } from "./random-machines.ts";

const MACHINES = [actionInstanceMachine, convergenceGroupMachine];
const PATH = ["Idle", "Processing.deciding", "Processing.running", "Failed", "Processing.running", "Success"];
const strange = createMachine({
  id: "strange <&>",
  initial: '<&>"',
  states: {
    '<&>"': { on: { 'go <b>&"': { target: "a:b;c%%#d\n--> x", guard: "a < b && c > d" } } },
    "a:b;c%%#d\n--> x": { description: "`end note`; <script>alert(1)</script>" },
  },
});

function svgOf(options: { path?: string[]; current?: string } = {}): string {
  return drawChart(actionInstanceMachine, { format: "svg", ...options });
}

/** The groups of an SVG that carry these attributes and classes. */
function groups(svg: string, pattern: string): string[] {
  return [...svg.matchAll(new RegExp(`<g class="([^"]*)" ${pattern}`, "g"))].map((match) => match[1] ?? "");
}

describe("every format shows the whole machine", () => {
  test.each(MACHINES)("SVG: each state is a box, each edge a line and a card with all its labels", (machine) => {
    const svg = drawChart(machine, { format: "svg" });
    const chart = chartOf(machine);
    for (const { id } of chart.states) expect(groups(svg, `data-state="${id}"`)).toHaveLength(1);
    for (const { from, to, labels } of chart.edges) {
      expect(groups(svg, `data-from="${from}" data-to="${to}"`)).toHaveLength(2);
      expect(svg).toContain(`<title>${from} to ${to}: ${labels.map(labelText).join(", ")}</title>`);
    }
  });

  test.each(MACHINES)("Mermaid: each state is declared, each edge is a line with all its labels", (machine) => {
    const text = drawChart(machine, { format: "mermaid" });
    for (const { id, label } of chartOf(machine).states) {
      expect(text).toContain(`state "${label}" as ${id.replace(".", "_")}`);
    }
    for (const { from, to, labels } of chartOf(machine).edges) {
      const words = labels.map(labelText).join("<br/>");
      expect(text).toContain(`  ${from.replace(".", "_")} --> ${to.replace(".", "_")} : ${words}\n`);
    }
  });

  test.each(MACHINES)(
    "ASCII: each state has a box, each edge an arrow to its target with every event and guard",
    (machine) => {
      const lines = drawChart(machine, { format: "ascii" }).split("\n");
      const { states, edges } = chartOf(machine);
      for (const { label } of states)
        expect(lines.some((line) => /[│├]/.test(line) && line.includes(label))).toBe(true);
      for (const { to, labels } of edges) {
        const arrows = lines.filter((line) => line.endsWith(`▶ ${to}`));
        for (const { event, guard } of labels) {
          expect(arrows.some((line) => line.includes(event) && line.includes(guard))).toBe(true);
        }
      }
    },
  );

  test("ASCII fits into 100 columns, with and without a path", () => {
    for (const path of [[], PATH]) {
      const text = drawChart(actionInstanceMachine, { format: "ascii", path });
      expect(Math.max(...text.split("\n").map(columnsOf))).toBeLessThanOrEqual(100);
    }
  });

  test("ASCII keeps the borders of its boxes in one column", () => {
    for (const current of [undefined, "Processing.deciding", "Processing", "Skipped"]) {
      const lines = drawChart(actionInstanceMachine, { format: "ascii", current }).split("\n");
      const ends = lines.filter((line) => /^[╭┏╔╰┗╚]/.test(line)).map(columnsOf);
      expect(new Set(ends).size).toBe(1);
      const borders = lines.filter((line) => /^[│┃║]/.test(line)).map((line) => [...line][ends[0]! - 1]);
      for (const border of borders) expect("│┃║├┠╟┼╂╫").toContain(border);
    }
  });
});

describe("the taken path and the current state are marked", () => {
  test("SVG: exactly the edges of a dotted path are taken, each with the numbers of its steps", () => {
    const svg = svgOf({ path: PATH });
    const taken = [...svg.matchAll(/<g class="edge taken" data-from="([^"]*)" data-to="([^"]*)"><title>/g)];
    expect(taken.map(([, from, to]) => `${from} > ${to}`).sort()).toEqual([
      "Failed > Processing.running",
      "Idle > Processing",
      "Processing.deciding > Processing.running",
      "Processing.running > Failed",
      "Processing.running > Success",
    ]);
    const badges = [...svg.matchAll(/class="badge-text"[^>]*>([^<]*)</g)].map((match) => match[1]);
    expect(new Set(badges)).toEqual(new Set(["1", "2", "3", "4", "5"]));
    expect(badges).toHaveLength(5);
  });

  test("SVG: an edge that was taken twice carries both numbers", () => {
    const running = ["Processing.running", "Failed"];
    const svg = svgOf({ path: [...running, ...running] });
    expect(svg).toContain(">1 · 3</text>");
  });

  test("SVG: a path of top-level states draws the edges in question as possible, not as taken", () => {
    const svg = svgOf({ path: ["Processing", "Success", "Skipped"] });
    expect(groups(svg, 'data-from="Processing.deciding" data-to="Success"')[0]).toBe("edge taken ambiguous");
    expect(groups(svg, 'data-from="Processing.running" data-to="Success"')[0]).toBe("edge taken ambiguous");
    expect(groups(svg, 'data-from="Success" data-to="Skipped"')[0]).toBe("edge taken");
  });

  test("SVG: the last state of the path is the current one unless another is named", () => {
    expect(groups(svgOf({ path: PATH }), 'data-state="Success"')).toEqual(["state visited current"]);
    const svg = svgOf({ path: PATH, current: "Waiting" });
    expect(groups(svg, 'data-state="Success"')).toEqual(["state visited"]);
    expect(groups(svg, 'data-state="Waiting"')).toEqual(["state visited current"]);
    expect(groups(svgOf(), 'data-state="Success"')).toEqual(["state"]);
  });

  test("SVG: marks do not move anything", () => {
    const positions = (svg: string): string[] =>
      [...svg.matchAll(/<rect class="(?:card|box|frame)[^>]*>/g)].map(String).sort();
    expect(positions(svgOf({ path: PATH }))).toEqual(positions(svgOf()));
  });

  test("Mermaid: taken edges carry their step, visited states and the current one their class", () => {
    const text = drawChart(actionInstanceMachine, { format: "mermaid", path: PATH });
    expect(text).toContain("Processing_running --> Success : (5) effect.done");
    expect(text).toContain("  class Idle visited\n");
    expect(text).toContain("  class Success current\n");
    expect(text).not.toContain("class Waiting");
  });

  test("ASCII: taken edges are thick and numbered, the current state is framed twice, the path stands below", () => {
    const text = drawChart(actionInstanceMachine, { format: "ascii", path: ["Idle", "Defense", "Waiting"] });
    expect(text).toMatch(/━ start \[defense\] ━+ 1 ━━▶ Defense/);
    expect(text).toMatch(/║ Waiting ◀ /);
    expect(text.match(/[│┃║] .*◀/g)).toHaveLength(1);
    expect(text).toContain("Idle ──start──▶ Defense ──approval.requested──▶ Waiting\n");
  });

  test.each(DRAWING_FORMATS)(
    "%s: a state that the machine does not have is refused by name, with the names that it has",
    (format) => {
      const wrong = { code: "BECALM_ARGUMENT_INVALID", message: expect.stringMatching(/"Sleeping".*Idle, Processing/) };
      expect(() => drawChart(actionInstanceMachine, { format, current: "Sleeping" })).toThrow(
        expect.objectContaining(wrong),
      );
      expect(() => drawChart(actionInstanceMachine, { format, path: ["Sleeping"] })).toThrow(
        expect.objectContaining(wrong),
      );
    },
  );
});

describe("text is escaped", () => {
  test("SVG: names, events, guards, descriptions and the title cannot leave their element", () => {
    const svg = drawChart(strange, { format: "svg", title: "</title><script>", path: ['<&>"'] });
    expect(svg).toContain(">&lt;&amp;&gt;&quot;</text>");
    expect(svg).toContain("go &lt;b&gt;&amp;&quot;");
    expect(svg).toContain("[a &lt; b &amp;&amp; c &gt; d]");
    expect(svg).not.toMatch(/<script|<b>/);
    expect(escapeXml("a\u0000\u0007b\ud800")).toBe("a b ");
  });

  test("Mermaid: signs of the language become codes, and every statement stays on its line", () => {
    const text = drawChart(strange, { format: "mermaid", title: 'a "title"\n---' });
    expect(text).toContain('title: "a \\"title\\" ---"\n');
    expect(text).toContain(`state "${escapeMermaid('<&>"')}" as s__`);
    for (const line of text.split("\n").slice(3)) expect(line).toMatch(/^( {2}|stateDiagram-v2$|$)/);
    expect(escapeMermaid("a:b;c%%#d<>")).toBe("a#58;b#59;c#37;#37;#35;d#60;#62;");
  });

  test("Mermaid: a state named like a word of the language gets an id that is none", () => {
    const machine = createMachine({ id: "m", initial: "end", states: { end: {}, state: {}, note: {}, "1": {} } });
    expect(drawChart(machine, { format: "mermaid" })).toMatch(/as s_1\n.*as s_end\n.*as s_state\n.*as s_note\n/s);
  });

  test("ASCII: a line break in a name cannot break a box", () => {
    const text = drawChart(strange, { format: "ascii" });
    for (const line of text.split("\n").slice(2, -1)) expect(line).toMatch(/^[╭╰│]/);
  });
});

describe("the drawing depends on nothing but its arguments", () => {
  test.each(DRAWING_FORMATS)("%s: the same arguments give the same bytes", (format) => {
    const options = { format, path: PATH, title: "t" };
    expect(drawChart(actionInstanceMachine, options)).toBe(drawChart(actionInstanceMachine, options));
  });

  test("SVG: nothing is loaded from elsewhere", () => {
    const svg = svgOf({ path: PATH }).replace('xmlns="http://www.w3.org/2000/svg"', "");
    expect(svg).not.toMatch(/https?:|href|url\(|@import|@font-face|<script/);
  });

  test("SVG: `auto` follows the reader's setting, the other themes do not", () => {
    const themed = (theme: "light" | "dark" | "auto"): string =>
      drawChart(actionInstanceMachine, { format: "svg", theme });
    expect(svgOf()).toBe(themed("auto"));
    expect(themed("auto")).toContain("prefers-color-scheme: dark");
    expect(themed("light")).not.toContain("prefers-color-scheme");
    expect(themed("dark")).not.toContain("prefers-color-scheme");
    expect(themed("dark")).not.toBe(themed("light"));
  });

  test.each(DRAWING_FORMATS)("%s: a machine of any shape is drawn with all its states", (format) => {
    fc.assert(
      fc.property(randomMachine, (machine) => {
        const chart = chartOf(machine);
        const path = chart.states.map(({ id }) => id);
        const text = drawChart(machine, { format, path });
        const count = { svg: /<g class="state/g, mermaid: /^ *state "/gm, ascii: /[╭┏╔][─━═]+[╮┓╗]/gu }[format];
        const extra = format === "ascii" ? 2 : 0;
        expect(text.match(count)?.length).toBe(chart.states.length + extra);
      }),
      { numRuns: 60, seed: 2 },
    );
  });
});
