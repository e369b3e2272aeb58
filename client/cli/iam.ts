/** `modelfleet iam customer-policy`: what a customer's application needs to call his models, and no more. */
import type { Command } from "commander";
import { openConnections } from "../connections.js";
import { readCustomerPolicy } from "../customer-access.js";
import { withExamples } from "./options.js";
import { printJson } from "./print.js";
import type { Shell } from "./shell.js";

interface PolicyFlags {
  readonly stage?: string;
  readonly shared?: string[];
}

export function configureIam(command: Command, shell: Shell): void {
  withExamples(command, ["modelfleet iam customer-policy flight-delays XNA"]);
  const policy = command
    .command("customer-policy")
    .description("print the IAM policy (JSON) with which one customer's models may be called")
    .argument("<fleet>", "the fleet's name")
    .argument("<customer>", "the customer")
    .option("--stage <name>", "the stage (default: the newest cycle's)")
    .option("--shared <prefix...>", "folders of models that the customer may call as well");
  withExamples(policy, [
    "modelfleet iam customer-policy flight-delays XNA",
    "modelfleet iam customer-policy flight-delays XNA --shared shared > policy.json",
  ]);
  policy.action(async (fleet: string, customer: string, flags: PolicyFlags) => {
    const connections = openConnections(shell.environment());
    try {
      const { stage, shared = [] } = flags;
      const wish = { fleet, customer, stage, shared };
      printJson(shell, await readCustomerPolicy(connections, wish));
    } finally {
      await connections.close();
    }
  });
}
