/**
 * Closes a run with one line that people and CI read: how many tests passed and failed. Where all of them ran, it also
 * looks for rights in the worker's policy that no activity needed.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Reporter, TestModule, Vitest } from "vitest/node";
import { workerPolicy } from "../fleet/worker-policy.js";

export default class CountReporter implements Reporter {
  private files = Infinity;

  onInit(vitest: Vitest): void {
    void vitest.globTestSpecifications().then((all) => (this.files = all.length));
  }

  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    const called = calledActions();
    if (modules.length >= this.files) {
      const unused = allowedActions().filter((action) => !called.has(action));
      for (const action of unused)
        process.stdout.write(`\nThe worker's policy allows ${action}, and no activity called it\n`);
      failed += unused.length;
      if (unused.length > 0) process.exitCode = 1;
    }
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
    const tail = skipped > 0 ? `, ${skipped} skipped` : "";
    process.stdout.write(`\nTests: ${passed} passed, ${failed} failed${tail}\n`);
  }
}

/** As test/aws-calls.ts has written them, file by file. */
function calledActions(): Set<string> {
  const folder = process.env.MODELFLEET_TEST_CALLS;
  if (folder === undefined) return new Set();
  const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), "utf8"));
  rmSync(folder, { recursive: true, force: true });
  return new Set(texts.flatMap((text) => text.trim().split("\n")));
}

function allowedActions(): string[] {
  const nowhere = { account: "", region: "", bucket: "", roleArn: "", stageRoles: [], fleets: [] };
  return [...new Set(workerPolicy(nowhere).Statement.flatMap(({ Action }) => Action))].sort();
}
