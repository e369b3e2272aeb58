/** `modelfleet approve --stage`: the approval of its own that a stage wants. */
import type { Connections } from "../connections.js";
import { messageOf } from "../errors.js";
import { changePromotion, findCohortPromotion, findPromotion } from "../promotion.js";
import { EXIT } from "./exit-codes.js";
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";
import { several } from "./words.js";

interface StageWish {
  readonly fleet: string;
  /** None: the cohort of the cycle, or with the version. */
  readonly customers: readonly string[];
  readonly cycle: string | undefined;
  readonly stage: string;
  readonly version: number | undefined;
  readonly by: string;
}

export async function approveForStage(
  shell: Shell,
  connections: Connections,
  wish: StageWish,
  json: boolean,
): Promise<void> {
  if (wish.customers.length === 0) return approveCohort(shell, connections, wish, json);
  const { fleet, customers, stage, version, by } = wish;
  const approved = [];
  for (const customer of customers)
    try {
      const named = { fleet, customer, ...(version === undefined ? {} : { version }) };
      const model = await findPromotion(connections, named);
      await changePromotion(connections, model, { kind: "approve-stage", stage, by });
      approved.push({ ...model, stage, by, approved: true });
      const name = `${safe(model.customer)} version ${model.version} for stage ${stage} by ${by}`;
      if (!json) printLines(shell, [`${shell.colors.green("approved")}  ${name}`]);
    } catch (error) {
      // One that is refused must not keep the others from their approval.
      if (customers.length === 1) throw error;
      shell.exit(EXIT.failed);
      approved.push({ fleet, customer, stage, approved: false, error: messageOf(error) });
      say(shell, `${shell.progressColors.red("error:")} ${messageOf(error)}`);
    }
  if (json) printJson(shell, { fleet, stage, approved });
}

async function approveCohort(
  shell: Shell,
  connections: Connections,
  { fleet, cycle, stage, version, by }: StageWish,
  json: boolean,
): Promise<void> {
  const named = {
    ...(cycle === undefined ? {} : { cycle }),
    ...(version === undefined ? {} : { version }),
  };
  const cohort = await findCohortPromotion(connections, { fleet, ...named });
  await changePromotion(connections, cohort, { kind: "approve-stage", stage, by });
  if (json)
    return printJson(shell, { fleet, stage, approved: [{ ...cohort, stage, by, approved: true }] });
  const models = `version ${cohort.version}: ${several(cohort.members, "model")}`;
  printLines(shell, [
    `${shell.colors.green("approved")}  ${models} for stage ${stage} by ${safe(by)}`,
  ]);
}
