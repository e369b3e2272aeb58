/** `modelfleet iam`: the policies with which a worker, SageMaker, a user, an approver or a customer may do his work, and no more. */
import type { Command } from "commander";
import { MANAGED_POLICY_CHARACTERS, policySize } from "../../fleet/policy-document.js";
import { openConnections } from "../connections.js";
import { readCustomerPolicy } from "../customer-access.js";
import { fleetPolicy, type PolicyWish } from "../fleet-policies.js";
import { withExamples } from "./options.js";
import { printJson, say } from "./print.js";
import type { Shell } from "./shell.js";

interface PolicyFlags {
  readonly stage?: string;
  readonly shared?: string[];
}

export function configureIam(command: Command, shell: Shell): void {
  withExamples(command, [
    "modelfleet iam worker-policy examples/flights",
    "modelfleet iam execution-role examples/flights --trust",
    "modelfleet iam customer-policy flight-delays XNA",
  ]);
  configureWorkerPolicy(command, shell);
  configureExecutionRole(command, shell);
  configureUserPolicy(command, shell);
  configureApproverPolicy(command, shell);
  configureCustomerPolicy(command, shell);
}

function configureWorkerPolicy(command: Command, shell: Shell): void {
  const policy = command
    .command("worker-policy")
    .description(
      "print the IAM policy (JSON) of a worker: the calls that it makes for these fleets",
    )
    .argument("<path...>", "the fleet files, or their folders")
    .option("--stage <name>", "of the role that the worker assumes for this stage, in its account");
  withExamples(policy, [
    "modelfleet iam worker-policy examples/flights",
    "modelfleet iam worker-policy fleets/delays fleets/energy > worker-policy.json",
    "modelfleet iam worker-policy fleets/delays --stage prod > worker-in-prod.json",
  ]);
  policy.action((files: string[], { stage }: { stage?: string }) =>
    print(shell, { kind: "worker", files, stage }),
  );
}

function configureExecutionRole(command: Command, shell: Shell): void {
  const policy = command
    .command("execution-role")
    .description("print the IAM policy (JSON) of the role that training jobs and endpoints assume")
    .argument("<path...>", "the fleet files, or their folders")
    .option(
      "--trust",
      "print who may assume the role (its trust policy) in place of what it may do",
    )
    .option("--stage <name>", "of the role in the account of this stage");
  withExamples(policy, [
    "modelfleet iam execution-role examples/flights > permissions.json",
    "modelfleet iam execution-role examples/flights --trust > trust.json",
  ]);
  policy.action((files: string[], { trust, stage }: { trust?: true; stage?: string }) =>
    print(shell, { kind: trust ? "execution-role-trust" : "execution-role", files, stage }),
  );
}

function configureUserPolicy(command: Command, shell: Shell): void {
  const policy = command
    .command("user-policy")
    .description("print the IAM policy (JSON) of a person who runs these commands")
    .argument("<path...>", "the fleet files, or their folders")
    .option("--accounts", "with what modelfleet accounts apply makes and changes")
    .option("--stage <name>", "of the role that commands assume for this stage, in its account");
  withExamples(policy, [
    "modelfleet iam user-policy examples/flights > user-policy.json",
    "modelfleet iam user-policy fleets/delays --accounts > account-owner-policy.json",
    "modelfleet iam user-policy fleets/delays --stage prod > user-in-prod.json",
  ]);
  policy.action((files: string[], { accounts, stage }: { accounts?: true; stage?: string }) =>
    print(shell, { kind: "user", files, stage, mayChange: accounts === true }),
  );
}

function configureApproverPolicy(command: Command, shell: Shell): void {
  const policy = command
    .command("approver-policy")
    .description("print the IAM policy (JSON) of a person who approves and denies in the registry")
    .argument("<path...>", "the fleet files, or their folders");
  withExamples(policy, ["modelfleet iam approver-policy examples/flights > approver-policy.json"]);
  policy.action((files: string[]) => print(shell, { kind: "approver", files }));
}

async function print(shell: Shell, wish: PolicyWish): Promise<void> {
  const policy = await fleetPolicy(shell.environment(), wish);
  printJson(shell, policy);
  if (policySize(policy) <= MANAGED_POLICY_CHARACTERS) return;
  say(
    shell,
    `note: this is longer than the ${MANAGED_POLICY_CHARACTERS} characters of a managed policy in IAM: ` +
      "make one for some of the fleets, and another for the rest",
  );
}

function configureCustomerPolicy(command: Command, shell: Shell): void {
  const policy = command
    .command("customer-policy")
    .description("print the IAM policy (JSON) with which one customer's models may be called")
    .argument("<fleet>", "the fleet's name")
    .argument("<customer>", "the customer")
    .option("--stage <name>", "the stage (default: the newest cycle's last)")
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
