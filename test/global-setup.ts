/** Before all tests: the Python environment with its server binaries, told to the test files by environment. */
import { cacheFolder } from "../local/stack/cache-folder.js";
import { pythonEnvironment } from "../local/stack/python-environment.js";
import { findTool, TEMPORAL } from "../local/stack/tools.js";
import { watchRights } from "./unused-rights.js";

export default async function setup(): Promise<void> {
  const { python, binaries } = await pythonEnvironment({
    cache: cacheFolder(process.env),
    wantedPython: process.env.MODELFLEET_PYTHON,
    onProgress: ({ message }) => process.stderr.write(`${message}\n`),
  });
  const temporal = await findTool(TEMPORAL, process.env.PATH ?? "", binaries);
  process.env.MODELFLEET_TEST_PYTHON ??= python;
  process.env.MODELFLEET_TEST_TEMPORAL ??= temporal.path;
  process.env.MODELFLEET_TEST_BINARIES ??= binaries;
  // The SDK is pinned: what its next versions ask for is no news for a test run.
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
  // No test may find the settings of a stack that the developer has up.
  process.env.MODELFLEET_ENV_FILE = "";
  watchRights();
}
