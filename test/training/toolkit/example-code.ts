/** The Python of every example, as its fleet file has it packed for the containers. */
import { readdirSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { anyAccount, loadFleetFile, type LoadedFleet } from "../../../client/fleet-file.js";
import type { Framework } from "../../../fleet/images.js";

const repository = resolve(import.meta.dirname, "../../..");

export interface ExampleCode {
  /** The source folder, from the repository's root. */
  readonly folder: string;
  readonly framework: Framework;
  readonly entryPoint: string;
  readonly inferenceEntryPoint: string;
  /** What is packed, by its path in the archive. */
  readonly files: Readonly<Record<string, string>>;
}

/** Of all fleet files in examples/, each source folder once. */
export async function exampleCode(): Promise<ExampleCode[]> {
  const found = new Map<string, ExampleCode>();
  const examples = join(repository, "examples");
  for (const entry of readdirSync(examples, { withFileTypes: true })) {
    if (!entry.isDirectory()) continue;
    for (const code of codeOf(await loadFleetFile(join(examples, entry.name), anyAccount)))
      found.set(code.folder, code);
  }
  return [...found.values()];
}

function codeOf({ path, spec, sources }: LoadedFleet): ExampleCode[] {
  const { training } = spec;
  const codes = training.kind === "pipeline" ? [training.preprocessor, training] : [training];
  return codes.map(({ source, sourceHash, framework, entryPoint, inferenceEntryPoint }) => {
    const archive = sources.find(({ hash }) => hash === sourceHash);
    const files = (archive?.files ?? []).map((name) => [
      name,
      archive?.contents(name)?.toString("utf8") ?? "",
    ]);
    return {
      folder: relative(repository, resolve(dirname(path), source)),
      ...{ framework, entryPoint, inferenceEntryPoint },
      files: Object.fromEntries(files) as Record<string, string>,
    };
  });
}
