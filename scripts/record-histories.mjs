/**
 * Writes test/histories/*.json anew, by running the workflow tests that mark what to keep. For a change that is
 * meant to break replay only: what it overwrites is what runs in production today.
 */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const vitest = join(root, "node_modules/vitest/vitest.mjs");
const { status } = spawnSync(process.execPath, [vitest, "run", "test/workflows"], {
  cwd: root,
  stdio: "inherit",
  env: { ...process.env, MODELFLEET_RECORD_HISTORIES: "1" },
});
process.exit(status ?? 1);
