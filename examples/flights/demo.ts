/** `npm run demo`: one cycle of the flights fleet on this machine, from an empty folder to predictions. */
import { parseArgs } from "node:util";
import { reportError } from "../../client/cli/report-error.js";
import { processShell } from "../../client/cli/shell.js";
import { runExample } from "../run-example.js";
import { example } from "./example.js";

// The SDK is pinned: what its next versions will need is no news for who watches a demo.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= "true";
const shell = processShell(process);
try {
  const { values: flags } = parseArgs({
    options: { ephemeral: { type: "boolean", default: false } },
  });
  const options = { settings: {}, ephemeral: flags.ephemeral, command: "npm run demo" };
  await runExample(shell, example, options);
} catch (error) {
  shell.exit(reportError(shell, error, process.env.DEBUG?.includes("modelfleet") === true));
}
