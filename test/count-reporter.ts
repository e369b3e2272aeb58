/** Closes a run with one line that people and CI read: how many tests passed and failed. */
import { readdirSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";
import { unusedRights } from "./unused-rights.js";

export default class CountReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    const retried: string[] = [];
    for (const module of modules) {
      if (module.state() === "failed" && module.errors().length > 0) failed++; // It did not even load.
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (test.diagnostic()?.flaky === true)
          retried.push(`${module.moduleId} > ${test.fullName}`);
        if (state === "passed") passed++;
        else if (state === "failed") failed++;
        else skipped++;
      }
    }
    if (retried.length > 0)
      process.stdout.write(`\nPassed only when tried again:\n  ${retried.join("\n  ")}\n`);
    // What was left out or broke off may be what uses a right.
    const unused = unusedRights();
    if (failed + skipped === 0 && modules.length === countFiles() && unused.length > 0) {
      failed++;
      process.exitCode = 1;
      process.stdout.write(`\nRights that nothing has used:\n  ${unused.join("\n  ")}\n`);
    }
    const tail = skipped > 0 ? `, ${skipped} skipped` : "";
    process.stdout.write(`\nTests: ${passed} passed, ${failed} failed${tail}\n`);
  }
}

const countFiles = (): number =>
  readdirSync("test", { recursive: true, encoding: "utf8" }).filter((name) =>
    name.endsWith(".test.ts"),
  ).length;
