/** `modelfleet approve --stage`: the approval of its own that a stage wants. */
import type { Connections } from "../connections.js";
import { messageOf } from "../errors.js";
import { changePromotion, findPromotion } from "../promotion.js";
import { EXIT } from "./exit-codes.js";
import { printJson, printLines, safe, say } from "./print.js";
import type { Shell } from "./shell.js";

interface StageWish {
  readonly fleet: string;
  readonly customers: readonly string[];
  readonly stage: string;
  readonly version: number | undefined;
  readonly by: string;
}

export async function approveForStage(
  shell: Shell,
  connections: Connections,
  { fleet, customers, stage, version, by }: StageWish,
  json: boolean,
): Promise<void> {
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
