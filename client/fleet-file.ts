/** Loads a fleet file: TypeScript in, the plain-JSON spec that workflows take and the packed sources out. */
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { createJiti } from "jiti";
import { SpecError } from "../fleet/errors.js";
import {
  fleetDeclarationSchema,
  type FleetDeclaration,
  type FleetSpec,
} from "../fleet/spec.schema.js";
import { bindWindow } from "../fleet/sql.js";
import { ClientError, hintOf, messageOf } from "./errors.js";
import { FleetFileInvalid, type SpecIssue } from "./fleet-file-invalid.js";
import { checkInstanceTypes } from "./instance-types.js";
import { packCode } from "./fleet-code.js";
import type { SourceArchive } from "./source-archive.js";
import { describeZodIssues } from "./spec-issues.js";

export interface LoadedFleet {
  /** Absolute path of the fleet file. */
  readonly path: string;
  readonly spec: FleetSpec;
  /** What is packed for the containers: the model's code first, then what else the fleet runs. */
  readonly sources: readonly SourceArchive[];
}

/** Whose credentials the fleet will be run with; asked only when a stage names no account. */
export type OwnAccount = () => Promise<string>;

/** For a file that is only looked at, which needs no credentials: any account will do. */
export const anyAccount: OwnAccount = () => Promise.resolve("000000000000");

/**
 * A stage that names no account is in `ownAccount`: the spec that is returned tells it. Throws FleetFileInvalid with
 * every error found without asking the warehouse.
 */
export async function loadFleetFile(file: string, ownAccount: OwnAccount): Promise<LoadedFleet> {
  const path = await fleetFilePath(file);
  const declared = await withAccounts(await evaluate(path), ownAccount);
  const parsed = fleetDeclarationSchema.safeParse(declared);
  if (!parsed.success) {
    throw new FleetFileInvalid(path, describeZodIssues(parsed.error.issues, declared));
  }
  return resolveDeclaration(path, parsed.data);
}

async function fleetFilePath(file: string): Promise<string> {
  const path = resolve(file);
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    throw new ClientError(`there is no fleet file ${file}`, "give the path of a fleet.ts");
  }
  if (!found.isDirectory()) return path;
  const inside = join(path, "fleet.ts");
  if (existsSync(inside)) return inside;
  throw new ClientError(`the folder ${file} holds no fleet.ts`, "give the path of a fleet file");
}

async function evaluate(path: string): Promise<object> {
  // A fleet file may lie anywhere: `modelfleet` is the package that reads it, installed beside it or not.
  const index = ["../index.js", "../index.ts"]
    .map((name) => fileURLToPath(new URL(name, import.meta.url)))
    .find((name) => existsSync(name));
  const jiti = createJiti(import.meta.url, {
    alias: index === undefined ? {} : { modelfleet: index },
    moduleCache: false, // A fleet file that changed is read again.
  });
  try {
    const module: unknown = await jiti.import(path);
    const declared = typeof module === "object" && module !== null && "default" in module;
    if (declared && typeof module.default === "object" && module.default !== null) {
      return module.default;
    }
  } catch (error) {
    const message = `${path} could not be loaded: ${messageOf(error)}`;
    throw new ClientError(message, hintOf(error), { cause: error });
  }
  throw new ClientError(`${path} exports no fleet`, "export default defineFleet({ … })");
}

async function withAccounts(declared: object, ownAccount: OwnAccount): Promise<object> {
  const stages: unknown[] =
    "stages" in declared && Array.isArray(declared.stages) ? declared.stages : [];
  if (!stages.some(namesNoAccount)) return declared;
  const account = await ownAccount();
  return {
    ...declared,
    stages: stages.map((stage) => (namesNoAccount(stage) ? { ...stage, account } : stage)),
  };
}

/** One that is there and undefined was meant to name one. */
const namesNoAccount = (stage: unknown): stage is object =>
  typeof stage === "object" && stage !== null && !("account" in stage);

async function resolveDeclaration(
  path: string,
  declaration: FleetDeclaration,
): Promise<LoadedFleet> {
  const issues: SpecIssue[] = await checkInstanceTypes(declaration);
  const folder = dirname(path);
  const { source } = declaration;
  const query = await sqlText(folder, "source.query", source.query, issues);
  const customers =
    source.customers === undefined
      ? undefined
      : await sqlText(folder, "source.customers", source.customers, issues);
  if (query !== undefined) issues.push(...windowIssues(query));
  const code = await packCode(folder, declaration, issues);
  if (issues.length > 0 || query === undefined || code === undefined) {
    throw new FleetFileInvalid(path, issues);
  }
  const { archives, training, preparation } = code;
  const { preparation: _declared, ...rest } = declaration;
  const spec: FleetSpec = {
    ...rest,
    source: { ...source, query, ...(customers === undefined ? {} : { customers }) },
    training,
    ...(preparation === undefined ? {} : { preparation }),
  };
  return { path, spec, sources: archives };
}

/** SQL as it stands, or the text of the `.sql` file that it names. */
async function sqlText(
  folder: string,
  field: string,
  value: string,
  issues: SpecIssue[],
): Promise<string | undefined> {
  if (!/^\S+\.sql$/.test(value)) return value;
  const path = resolve(folder, value);
  const text = await readFile(path, "utf8").catch(() => undefined);
  if (text !== undefined && text.trim() !== "") return text;
  issues.push({
    field,
    value,
    problem: text === undefined ? `names ${path}, which cannot be read` : `${path} is empty`,
    hint: "paths are relative to the fleet file",
  });
  return undefined;
}

function windowIssues(query: string): SpecIssue[] {
  try {
    bindWindow(query, { floor: "2000-01-01T00:00:00.000Z", ceiling: "2000-02-01T00:00:00.000Z" });
    return [];
  } catch (error) {
    if (!(error instanceof SpecError)) throw error;
    return [{ field: "source.query", problem: error.message, hint: error.hint }];
  }
}
