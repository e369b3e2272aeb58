/** Reading a fleet file: what becomes of its paths, and what a person is told when something is wrong. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { anyAccount, loadFleetFile } from "../../client/fleet-file.js";
import { FleetFileInvalid } from "../../client/fleet-file-invalid.js";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "modelfleet-fleet-"));
  writeFileSync(join(folder, "train.py"), "");
  writeFileSync(join(folder, "inference.py"), "def model_fn(model_dir): ...\n");
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const QUERY = "select customer, y, x from rows where t >= :floor and t < :ceiling";

function fleetFile(changes: Readonly<Record<string, unknown>> = {}): string {
  const fleet = {
    name: "churn",
    source: source(),
    training: { kind: "script", source: "." },
    endpoint: { kind: "multi-model" },
    stages: [{ name: "sandbox", account: "111111111111" }],
    ...changes,
  };
  const path = join(folder, "fleet.ts");
  writeFileSync(
    path,
    `import { defineFleet } from "modelfleet";\nexport default defineFleet(${JSON.stringify(fleet)});\n`,
  );
  return path;
}

function source(changes: Readonly<Record<string, unknown>> = {}) {
  return {
    kind: "postgres",
    connection: "WAREHOUSE_URL",
    query: QUERY,
    customer: "customer",
    target: "y",
    window: { months: 3 },
    split: { validation: 0.3, test: 0.1 },
    ...changes,
  };
}

async function issuesOf(path: string) {
  const error: unknown = await loadFleetFile(path, anyAccount).catch((thrown: unknown) => thrown);
  if (error instanceof FleetFileInvalid) return error.issues;
  throw new Error("expected the fleet file to be refused", { cause: error });
}

describe("a fleet file that is right", () => {
  test("may leave out a stage's account: it is that of the credentials", async () => {
    const path = fleetFile({ stages: [{ name: "sandbox" }] });
    const { spec } = await loadFleetFile(path, () => Promise.resolve("222222222222"));
    expect(spec.stages).toEqual([{ name: "sandbox", account: "222222222222" }]);
  });

  test("asks for no credentials when every stage names its account", async () => {
    const nobody = () => Promise.reject(new Error("no credentials"));
    expect((await loadFleetFile(fleetFile(), nobody)).spec.stages[0].account).toBe("111111111111");
  });

  test("resolves to plain JSON with its SQL as text and its code as a hash", async () => {
    writeFileSync(join(folder, "rows.sql"), QUERY);
    const { spec } = await loadFleetFile(
      fleetFile({ source: source({ query: "./rows.sql" }) }),
      anyAccount,
    );
    expect(spec.source.query).toBe(QUERY);
    expect(spec.training.sourceHash).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(JSON.stringify(spec))).toEqual(spec);
  });

  test("may be named by its folder", async () => {
    fleetFile();
    expect((await loadFleetFile(folder, anyAccount)).spec.name).toBe("churn");
  });

  test("is read again after it has changed", async () => {
    await loadFleetFile(fleetFile(), anyAccount);
    expect((await loadFleetFile(fleetFile({ name: "renamed" }), anyAccount)).spec.name).toBe(
      "renamed",
    );
  });

  test("is what the flights example has", async () => {
    const { spec } = await loadFleetFile(resolve("examples/flights/fleet.ts"), anyAccount);
    expect(spec.name).toBe("flight-delays");
    expect(spec.source.query).toContain(":floor");
  });
});

describe("a fleet file that is wrong", () => {
  test("tells all errors at once, each with its field and value", async () => {
    const issues = await issuesOf(
      fleetFile({ name: "Churn!", concurrency: 0, source: source({ window: { months: 1.5 } }) }),
    );
    expect(issues.map(({ field, value }) => [field, value])).toEqual([
      ["name", '"Churn!"'],
      ["source.window.months", "1.5"],
      ["concurrency", "0"],
    ]);
  });

  test("says a bound in words", async () => {
    const issues = await issuesOf(fleetFile({ concurrency: 0 }));
    expect(issues).toEqual([{ field: "concurrency", value: "0", problem: "must be at least 1" }]);
  });

  test("suggests the field that was meant", async () => {
    const issues = await issuesOf(fleetFile({ concurency: 5 }));
    expect(issues).toEqual([
      {
        field: "concurency",
        value: "5",
        problem: "is not a field of a fleet file",
        hint: 'did you mean "concurrency"?',
      },
    ]);
  });

  test("names the instance types that do not exist, and the nearest that do", async () => {
    const issues = await issuesOf(
      fleetFile({
        training: { kind: "script", source: ".", instanceType: "ml.m5.huge" },
        endpoint: { kind: "multi-model", instanceType: "ml.m5.xlarg" },
      }),
    );
    const problem = "is no instance type that SageMaker offers for this";
    expect(issues).toEqual([
      {
        field: "training.instanceType",
        value: '"ml.m5.huge"',
        problem,
        hint: 'did you mean "ml.m5.large"?',
      },
      {
        field: "endpoint.instanceType",
        value: '"ml.m5.xlarg"',
        problem,
        hint: 'did you mean "ml.m5.xlarge"?',
      },
    ]);
  });

  test.each([
    [{ bounds: { rsme: { max: 40 } } }, "gate.bounds.rsme", 'did you mean "rmse"?'],
    [
      { segments: [{ colum: "hour", maximumDrop: 0.1, column: "hour" }] },
      "gate.segments.0.colum",
      'did you mean "column"?',
    ],
  ])("suggests it in the gate's policy, too: %j", async (gate, field, hint) => {
    expect(await issuesOf(fleetFile({ gate }))).toMatchObject([{ field, hint }]);
  });

  test("says which fields are missing", async () => {
    const issues = await issuesOf(fleetFile({ stages: undefined, endpoint: undefined }));
    expect(issues.map(({ field, problem }) => `${field} ${problem}`)).toEqual([
      "endpoint is missing",
      "stages is missing",
    ]);
  });

  test("is refused when its query does not use the window", async () => {
    const issues = await issuesOf(
      fleetFile({ source: source({ query: "select 1 where t < :ceiling" }) }),
    );
    expect(issues).toMatchObject([
      { field: "source.query", problem: "the query does not use :floor" },
    ]);
  });

  test("names the SQL file and the scripts that are not there", async () => {
    const issues = await issuesOf(
      fleetFile({
        source: source({ query: "missing.sql" }),
        training: { kind: "script", source: ".", entryPoint: "trian.py" },
      }),
    );
    expect(issues).toMatchObject([
      { field: "source.query", value: "missing.sql" },
      {
        field: "training.entryPoint",
        value: "trian.py",
        hint: "scripts there: inference.py, train.py",
      },
    ]);
  });

  test("names the dependencies that are not there", async () => {
    const training = { kind: "script", source: ".", dependencies: ["../judging"] };
    expect(await issuesOf(fleetFile({ training }))).toMatchObject([
      { field: "training.dependencies", value: "../judging", hint: expect.any(String) as unknown },
    ]);
  });

  test("is refused when a dependency would lie where a source does", async () => {
    for (const place of ["code/lib", "lib"]) {
      mkdirSync(join(folder, place), { recursive: true });
      writeFileSync(join(folder, place, "model.py"), "");
    }
    const training = { kind: "script", source: "code", dependencies: ["lib"] };
    await expect(loadFleetFile(fleetFile({ training }), anyAccount)).rejects.toMatchObject({
      message: `${join(folder, "lib/model.py")} and ${join(folder, "code/lib/model.py")} would both be packed as lib/model.py`,
      hint: "rename one of them",
    });
  });

  test("that leaves a stage's account undefined is refused: it was meant to name one", async () => {
    const path = join(folder, "fleet.ts");
    writeFileSync(
      fleetFile(),
      readFileSync(path, "utf8").replace('"account":"111111111111"', '"account":undefined'),
    );
    expect(await issuesOf(path)).toMatchObject([{ field: "stages.0.account" }]);
  });

  test("says that the script of the endpoint cannot load a model", async () => {
    writeFileSync(join(folder, "inference.py"), "def predict_fn(rows, model): ...\n");
    expect(await issuesOf(fleetFile())).toMatchObject([
      {
        field: "training.inferenceEntryPoint",
        value: "inference.py",
        problem: "defines no model_fn, which SageMaker's containers load a model with",
        hint: "write def model_fn(model_dir), or import it there from the file that has it",
      },
    ]);
  });

  test("of a newer version asks for a newer modelfleet", async () => {
    const issues = await issuesOf(fleetFile({ specVersion: 99 }));
    expect(issues).toMatchObject([{ field: "specVersion", value: "99" }]);
    expect(issues[0]?.problem).toContain("upgrade");
  });

  test("without a default export says what to write", async () => {
    const path = join(folder, "fleet.ts");
    writeFileSync(path, "export const fleet = 1;\n");
    await expect(loadFleetFile(path, anyAccount)).rejects.toMatchObject({
      message: `${path} exports no fleet`,
      hint: "export default defineFleet({ … })",
    });
  });

  test("that does not compile is told with its path", async () => {
    const path = join(folder, "fleet.ts");
    writeFileSync(path, "export default {\n");
    await expect(loadFleetFile(path, anyAccount)).rejects.toThrow(`${path} could not be loaded`);
  });
});
