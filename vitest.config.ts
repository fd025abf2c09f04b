import { relative } from "node:path";
import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** These start programs, kill them, or replace modules: each file in a process of its own, which cleans up by ending. */
const APART = [
  "test/{bench,chaos,e2e,fault,inspect,package,seeded-faults,simulation,support}/**/*.test.ts",
  "test/scenarios/fingerprint-collision.test.ts",
];

/** Those that take longest come first: one that began last would keep one core busy and leave the others idle. */
const LONGEST = [
  "test/simulation/simulation.test.ts",
  "test/e2e/commands.test.ts",
  "test/e2e/detect.test.ts",
  "test/chaos/chaos.test.ts",
  "test/e2e/prometheus.test.ts",
  "test/seeded-faults/seeded-faults.test.ts",
];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification) => {
      const index = LONGEST.indexOf(relative(import.meta.dirname, moduleId));
      return index === -1 ? LONGEST.length : index;
    };
    return (await super.sort(files)).sort((a, b) => rank(a) - rank(b));
  }
}

const common = {
  // How long a test waits is no assertion: a slow or busy machine waits longer, and only what never comes ends here.
  testTimeout: 240_000,
  hookTimeout: 240_000,
  expect: { poll: { timeout: 90_000 } },
  pool: "forks",
  restoreMocks: true,
  unstubEnvs: true,
  sequence: { hooks: "stack" },
} as const;

export default defineConfig({
  test: {
    // More than the two cores of a small machine: many files wait for the servers and programs that they started.
    maxWorkers: 3,
    sequence: { sequencer: LongestFirst },
    projects: [
      { test: { ...common, name: "apart", include: APART } },
      // A process runs many of these, so that what they import is loaded and compiled once.
      { test: { ...common, name: "together", include: ["test/**/*.test.ts"], exclude: APART, isolate: false } },
    ],
  },
});
