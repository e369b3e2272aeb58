/** `modelfleet models --stage`: what a stage's endpoints can serve now. */
import type { Connections } from "../connections.js";
import { findStage, listServedModels, type ServedModel } from "../served-models.js";
import { printJson, printLines, safe, say, tableLines } from "./print.js";
import type { Shell } from "./shell.js";
import { count, localTime, several, size } from "./words.js";

export async function listServed(
  shell: Shell,
  connections: Connections,
  fleet: string,
  { stage: named, json }: { readonly stage: string | true; readonly json?: true },
): Promise<void> {
  const stage = await findStage(connections, {
    fleet,
    ...(named === true ? {} : { stage: named }),
  });
  if (json) {
    const models: ServedModel[] = [];
    for await (const page of listServedModels(connections, { fleet, stage })) models.push(...page);
    return printJson(shell, { fleet, stage, models });
  }
  const totals = { models: 0, bytes: 0, pointedTo: 0 };
  for await (const page of listServedModels(connections, { fleet, stage })) {
    if (page.length > 0) printLines(shell, pageLines(shell, page));
    totals.models += page.length;
    totals.bytes += page.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    totals.pointedTo += page.filter(({ isPointedTo }) => isPointedTo).length;
  }
  if (totals.models === 0) return say(shell, `nothing can be served in stage ${stage} of ${fleet}`);
  const said = `${several(totals.models, "model")}, ${size(totals.bytes)}, ${count(totals.pointedTo)} pointed to`;
  say(shell, shell.progressColors.dim(said));
}

function pageLines(shell: Shell, page: readonly ServedModel[]): string[] {
  const columns = [
    { title: "target model" },
    { title: "customer" },
    { title: "version", align: "right" },
    { title: "size", align: "right" },
    { title: "since" },
    { title: "" },
    { title: "endpoint" },
  ] as const;
  const rows = page.map((model) => [
    safe(model.targetModel ?? "–"),
    safe(model.customer ?? "–"),
    model.version === null ? "–" : String(model.version),
    size(model.sizeBytes),
    localTime(model.since),
    model.isPointedTo ? shell.colors.green("pointed to") : "",
    safe(model.endpointName),
  ]);
  return tableLines(shell, columns, rows);
}
