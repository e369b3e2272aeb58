/** `modelfleet lineage`: from a served artifact back to SQL, data, code, job and approver, as a tree. */
import type { Command } from "commander";
import { openConnections } from "../connections.js";
import { readLineage, type Lineage } from "../lineage.js";
import type { Figures } from "../models.js";
import { wholeNumber, withExamples, withJson } from "./options.js";
import { printJson, printLines, safe } from "./print.js";
import type { Shell } from "./shell.js";
import { count, figure, localTime, windowTime } from "./words.js";

export function configureLineage(command: Command, shell: Shell): void {
  command
    .argument("<fleet>", "the fleet's name")
    .argument("<customer>", "the customer")
    .option("--version <number>", "this version (default: the one that serves)", wholeNumber);
  withJson(command);
  withExamples(command, [
    "modelfleet lineage flight-delays XNA",
    "modelfleet lineage flight-delays XNA --version 2 --json",
  ]);
  command.action(
    async (fleet: string, customer: string, flags: { version?: number; json?: true }) => {
      const connections = openConnections(shell.environment());
      try {
        const version = flags.version === undefined ? {} : { version: flags.version };
        const lineage = await readLineage(connections, { fleet, customer, ...version });
        if (flags.json) printJson(shell, lineage);
        else printLines(shell, lineageLines(shell, lineage));
      } finally {
        await connections.close();
      }
    },
  );
}

interface Branch {
  readonly title: string;
  readonly leaves: readonly string[];
}

function lineageLines(shell: Shell, lineage: Lineage): string[] {
  const { colors } = shell;
  const { customer, fleet, version, state } = lineage;
  const branches = branchesOf(lineage);
  return [
    `${colors.bold(safe(customer))} of ${fleet}, version ${version}, ${state}`,
    ...branches.flatMap((branch, place) => {
      const last = place === branches.length - 1;
      const rail = last ? "   " : "│  ";
      return [
        `${last ? "└─" : "├─"} ${colors.cyan(branch.title)}`,
        ...branch.leaves.map((leaf) => `${colors.dim(rail)}   ${safe(leaf)}`),
      ];
    }),
  ];
}

const goneWords = ({ collectedAt }: Lineage): string =>
  collectedAt === null ? "" : `, which modelfleet gc deleted on ${localTime(collectedAt)}`;

function branchesOf(lineage: Lineage): Branch[] {
  const { trainingJob, code, dataset, query, cycle, approval, withdrawal } = lineage;
  const { rows } = dataset;
  return [
    { title: "served as", leaves: servedLeaves(lineage) },
    { title: "approved", leaves: [...approvalLeaves(approval), ...cohortLeaves(lineage)] },
    ...(withdrawal === null ? [] : [{ title: "withdrawn", leaves: withdrawalLeaves(withdrawal) }]),
    { title: "registered", leaves: [lineage.modelPackageArn] },
    { title: "judged", leaves: evaluationLeaves(lineage.evaluation) },
    {
      title: `trained by ${trainingJob.name}`,
      leaves: [
        `${trainingJob.status ?? "status not known"}, ${trainingJob.instanceType ?? "?"}, billed ${trainingJob.billableSeconds ?? "?"} s`,
        `image     ${trainingJob.image ?? "?"}`,
        `artifact  ${trainingJob.artifact}${goneWords(lineage)}`,
        ...hyperparameterLeaves(trainingJob.hyperparameters),
        ...tuningLeaves(lineage.tuningJob),
      ],
    },
    {
      title: "from code",
      leaves: [`${code.source}, ${code.entryPoint}`, `sha256 ${code.hash}`],
    },
    {
      title: "and data",
      leaves: [
        `${count(rows.train)} train, ${count(rows.validation)} validation, ${count(rows.test)} test rows`,
        `sha256 ${dataset.hash ?? "not known"}`,
      ],
    },
    {
      title: `selected from ${query.connection}`,
      leaves: [
        `:floor    ${windowTime(query.floor)}`,
        `:ceiling  ${windowTime(query.ceiling)}`,
        ...query.text.trimEnd().split("\n"),
      ],
    },
    {
      title: `in cycle ${cycle.id}`,
      leaves: [
        `started ${localTime(cycle.startedAt)} by ${cycle.workflowId}`,
        `spec sha256 ${cycle.specHash}`,
        ...(cycle.drift === null ? [] : [`called for by drift: ${cycle.drift}`]),
      ],
    },
  ];
}

function servedLeaves({ publication }: Lineage): string[] {
  if (publication === null) return ["not published"];
  const { endpointKind, endpointName, targetModel, stage, state, updatedAt, reason } = publication;
  return [
    `${targetModel ?? "the only model"} in stage ${stage}: ${state} since ${localTime(updatedAt)}`,
    `endpoint ${endpointName} (${endpointKind})`,
    ...(reason === null ? [] : [reason]),
  ];
}

function approvalLeaves({ decidedBy, decidedAt, note }: Lineage["approval"]): string[] {
  if (decidedBy === null) return ["nobody has decided yet"];
  const when = decidedAt === null ? "" : `, ${localTime(decidedAt)}`;
  return [`by ${decidedBy}${when}`, ...(note === null || note === "" ? [] : [`“${note}”`])];
}

const cohortLeaves = ({ cohort }: Lineage): string[] =>
  cohort === null ? [] : [`with all ${count(cohort.members)} models of version ${cohort.version}`];

function withdrawalLeaves(withdrawal: NonNullable<Lineage["withdrawal"]>): string[] {
  const { askedBy, askedAt, because, state, servesVersion, movedAt, reason } = withdrawal;
  const instead = servesVersion === null ? "no version" : `version ${servesVersion}`;
  const now =
    state === "asked"
      ? "it still serves, until another version can take its place"
      : `${instead} serves instead, since ${localTime(movedAt ?? askedAt)}`;
  return [
    `by ${askedBy}, ${localTime(askedAt)}`,
    ...(because === null || because === "" ? [] : [`“${because}”`]),
    now,
    ...(reason === null ? [] : [reason]),
  ];
}

function evaluationLeaves(evaluation: Lineage["evaluation"]): string[] {
  if (evaluation === null) return ["no evaluation on record"];
  const { metrics, championMetrics, championVersion, baselineMetrics, because } = evaluation;
  const champion = championVersion === null ? "champion" : `champion (version ${championVersion})`;
  return [
    `model     ${figures(metrics)}`,
    ...(championMetrics === null ? [] : [`${champion}  ${figures(championMetrics)}`]),
    `baseline  ${figures(baselineMetrics)}`,
    because,
  ];
}

function figures(metrics: Figures): string {
  return Object.entries(metrics)
    .map(([name, value]) => `${name} ${figure(value)}`)
    .join(", ");
}

function tuningLeaves(tuningJob: Lineage["tuningJob"]): string[] {
  if (tuningJob === null) return [];
  const { name, packed, objective, best, maxJobs, warmStart, parents } = tuningJob;
  const start = warmStart === null ? "from nothing" : `${warmStart} from ${parents.join(", ")}`;
  return [
    `found by  ${name}: best ${objective} ${figure(best)} of ${maxJobs} ${packed ? "trials" : "jobs"}, ${start}`,
  ];
}

/** SageMaker's own hyperparameters tell nothing that is not above. */
function hyperparameterLeaves(hyperparameters: Readonly<Record<string, string>>): string[] {
  const own = Object.entries(hyperparameters).filter(([name]) => !name.startsWith("sagemaker_"));
  if (own.length === 0) return [];
  return [`with      ${own.map(([name, value]) => `${name}=${value}`).join(" ")}`];
}
