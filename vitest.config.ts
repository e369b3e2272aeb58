import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["test/**/*.test.ts"],
    pool: "forks",
    // Two cores run Postgres, Temporal, S3, SageMaker and Python beside the tests: two files at a time.
    maxWorkers: 2,
    testTimeout: 480_000,
    hookTimeout: 480_000,
    // What is polled for comes when the machine gets to it; the default second is too short for a busy one.
    expect: { poll: { timeout: 30_000 } },
    globalSetup: ["test/global-setup.ts"],
    setupFiles: ["test/aws-calls.ts"],
    reporters: ["default", "./test/count-reporter.ts"],
  },
});
