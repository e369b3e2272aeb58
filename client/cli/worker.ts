/** `modelfleet worker`: carries workflows and activities out, until it is stopped. */
import type { Command } from "commander";
import { withExamples } from "./options.js";
import { say } from "./print.js";
import type { Shell } from "./shell.js";

/** worker/main.ts's: only the command's main module may import the worker. */
export type RunWorker = (options: {
  environment: NodeJS.ProcessEnv;
  onReady?: (worker: {
    readonly account: string;
    readonly region: string;
    readonly build?: string;
  }) => void;
}) => Promise<void>;

export function configureWorker(
  command: Command,
  shell: Shell,
  load: () => Promise<RunWorker>,
): void {
  withExamples(command, [
    "modelfleet worker",
    "MODELFLEET_ENV_FILE=production.env modelfleet worker",
  ]);
  command.action(async () => {
    const environment = shell.environment();
    const runWorker = await load();
    await runWorker({
      environment: { ...environment },
      onReady: ({ account, region, build }) => {
        const version = build === undefined ? "" : `, version ${build}`;
        say(shell, `worker ready, for account ${account} in ${region}${version}; Ctrl-C ends it`);
      },
    });
  });
}
