/** `npm run load-flights`: the flights into the warehouse of the stack that is up. */
import { reportError } from "../../client/cli/report-error.js";
import { processShell } from "../../client/cli/shell.js";
import { loadEnvironment } from "../../client/environment.js";
import { loadData } from "../parts.js";
import { example } from "./example.js";

const shell = processShell(process);
try {
  loadEnvironment(process.env, shell.directory);
  await loadData(shell, example, {});
} catch (error) {
  shell.exit(reportError(shell, error, false));
}
