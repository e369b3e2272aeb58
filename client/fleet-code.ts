/** Packs the Python of a fleet: of its models, and of what else it runs in containers. */
import { stat } from "node:fs/promises";
import { resolve } from "node:path";
import type { FleetDeclaration, FleetSpec } from "../fleet/spec.schema.js";
import type { SpecIssue } from "./fleet-file-invalid.js";
import { definesName } from "./python-names.js";
import { readSourceArchive, type SourceArchive } from "./source-archive.js";

export interface FleetCode {
  /** The spec's parts that name code, with its hash. */
  readonly training: FleetSpec["training"];
  readonly preparation: FleetSpec["preparation"];
  readonly archives: readonly SourceArchive[];
}

/** Adds to `issues` what is not there; undefined then. */
export async function packCode(
  folder: string,
  { training, preparation }: FleetDeclaration,
  issues: SpecIssue[],
): Promise<FleetCode | undefined> {
  const packed = (field: string, code: Code, scripts: readonly Script[]) =>
    pack({ folder, field, code, scripts }, issues);
  const model = await packed("training", training, ["entryPoint", "inferenceEntryPoint"]);
  const prepared = preparation && (await packed("preparation", preparation, ["entryPoint"]));
  const shared =
    training.kind === "pipeline"
      ? await packed("training.preprocessor", training.preprocessor, [
          "entryPoint",
          "inferenceEntryPoint",
        ])
      : undefined;
  const resolvedTraining = model && resolveTraining(training, model, shared);
  if (resolvedTraining === undefined) return undefined;
  if (preparation !== undefined && prepared === undefined) return undefined;
  return {
    training: resolvedTraining,
    preparation: preparation && prepared && { ...preparation, sourceHash: prepared.hash },
    archives: [model, prepared, shared].filter((archive) => archive !== undefined),
  };
}

function resolveTraining(
  training: FleetDeclaration["training"],
  model: SourceArchive,
  shared: SourceArchive | undefined,
): FleetSpec["training"] | undefined {
  const sourceHash = model.hash;
  if (training.kind !== "pipeline") return { ...training, sourceHash };
  if (shared === undefined) return undefined;
  const preprocessor = { ...training.preprocessor, sourceHash: shared.hash };
  return { ...training, sourceHash, preprocessor };
}

type Script = "entryPoint" | "inferenceEntryPoint";

interface Code extends Readonly<Partial<Record<Script, string>>> {
  readonly source: string;
  readonly dependencies?: readonly string[] | undefined;
}

interface Packing {
  /** Of the fleet file. */
  readonly folder: string;
  readonly field: string;
  readonly code: Code;
  /** The scripts that must be there. */
  readonly scripts: readonly Script[];
}

async function pack(
  { folder, field, code, scripts }: Packing,
  issues: SpecIssue[],
): Promise<SourceArchive | undefined> {
  const path = resolve(folder, code.source);
  const found = await stat(path).catch(() => undefined);
  if (!found?.isDirectory()) {
    issues.push({
      field: `${field}.source`,
      value: code.source,
      problem: `${path} is not a folder`,
      hint: "name the folder of the Python sources, relative to the fleet file",
    });
    return undefined;
  }
  const dependencies = code.dependencies ?? [];
  const absent = await missing(folder, dependencies);
  for (const value of absent)
    issues.push({
      field: `${field}.dependencies`,
      value,
      problem: `${resolve(folder, value)} is neither a folder nor a file`,
      hint: "name folders or files, relative to the fleet file",
    });
  if (absent.length > 0) return undefined;
  const archive = await readSourceArchive(
    path,
    dependencies.map((one) => resolve(folder, one)),
  );
  for (const name of scripts) issues.push(...scriptIssues({ field, path, code, name }, archive));
  return archive;
}

interface NamedScript {
  readonly field: string;
  readonly path: string;
  readonly code: Code;
  readonly name: Script;
}

function scriptIssues({ field, path, code, name }: NamedScript, archive: SourceArchive) {
  const script = code[name] ?? "";
  const shown = { field: `${field}.${name}`, value: script };
  const contents = archive.contents(script);
  if (contents === undefined) {
    const there = archive.files.filter((file) => file.endsWith(".py")).join(", ") || "none";
    return [{ ...shown, problem: `is not in ${path}`, hint: `scripts there: ${there}` }];
  }
  if (name !== "inferenceEntryPoint" || definesName(contents.toString("utf8"), "model_fn"))
    return [];
  return [
    {
      ...shown,
      problem: "defines no model_fn, which SageMaker's containers load a model with",
      hint: "write def model_fn(model_dir), or import it there from the file that has it",
    },
  ];
}

async function missing(folder: string, paths: readonly string[]): Promise<string[]> {
  const found = await Promise.all(
    paths.map((path) =>
      stat(resolve(folder, path))
        .then(() => true)
        .catch(() => false),
    ),
  );
  return paths.filter((_path, index) => found[index] === false);
}
