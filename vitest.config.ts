import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    // Generous, because a test that waits for a real server shares its cores with the other test files; no test sleeps.
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // Servers and killed child processes belong to one file: a process of its own keeps their clean-up apart.
    pool: "forks",
    maxWorkers: 2,
    restoreMocks: true,
    unstubEnvs: true,
    sequence: { hooks: "stack" },
  },
});
