/** The command line itself: help, wrong usage, colours, and parts that do not answer. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { modelfleet, modelfleetJson } from "./modelfleet.js";

const COMMANDS = [
  ...["validate", "plan", "apply", "run", "status", "cancel", "schedule"],
  ...["models", "approve", "deny", "rollback"],
  ...["invoke", "lineage", "history", "endpoint", "iam", "worker", "local", "doctor", "destroy"],
  "gc",
  ...["export", "import"],
];
/** Below every stack: no test may find the settings of one that the developer has up. */
const folder = mkdtempSync(join(tmpdir(), "modelfleet-cli-"));
const environment = { MODELFLEET_ENV_FILE: "" };
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe("help", () => {
  test("lists every command, on stdout, with exit code 0", async () => {
    const { code, stdout, stderr } = await modelfleet(["--help"]);
    expect(code).toBe(0);
    expect(stderr).toBe("");
    for (const command of COMMANDS) expect(stdout).toMatch(new RegExp(`^  ${command} `, "m"));
  });

  test.each(COMMANDS)("of %s shows its usage, and examples", async (command) => {
    const { code, stdout } = await modelfleet(["help", command]);
    expect(code).toBe(0);
    expect(stdout).toContain(`Usage: modelfleet ${command}`);
    if (command !== "local") expect(stdout).toContain("Examples:\n  $ modelfleet ");
  });
});

describe("wrong usage ends with exit code 2, says what, and tries to help", () => {
  test.each([
    [["pln"], "error: unknown command 'pln'\n  (Did you mean plan?)"],
    [["plan"], "error: missing required argument 'fleetfile'"],
    [["status", "--folow"], "error: unknown option '--folow'\n  (Did you mean --follow?)"],
    [["plan", "fleet.ts", "--at", "soon"], '"soon" is no time'],
    [["deny", "churn", "A"], 'error: a denial needs its reason\n  try: add --note "why"'],
    [["approve", "churn"], "error: name the customers, or use --cohort, --all-pending or --where"],
    [["rollback", "churn", "A"], 'error: a rollback needs its reason\n  try: add --because "why"'],
    [
      ["approve", "churn", "A", "B", "--version", "2"],
      "error: --version is about a single customer",
    ],
    [
      ["approve", "churn", "A", "--where", "rmse < 4"],
      "error: name customers, or use --all-pending or",
    ],
    [["approve", "churn", "A", "--sample", "4"], "error: --except-outliers and --sample go with"],
    [
      ["approve", "churn", "--all-pending", "--sample", "0"],
      "error: --sample shows at least 1 model",
    ],
    [["status", "--customers"], "error: name the fleet these options are about"],
  ])("%j", async (words, said) => {
    const { code, stdout, stderr } = await modelfleet(words, { directory: folder, environment });
    expect(stderr).toContain(said);
    expect(stderr).toContain("try: ");
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
});

describe("a part that does not answer is one clear line with what to do", () => {
  const nowhere = {
    ...environment,
    TEMPORAL_ADDRESS: "127.0.0.1:9",
    MODELFLEET_LEDGER_URL: "postgres://postgres:secret@127.0.0.1:9/modelfleet",
    WAREHOUSE_URL: "postgres://postgres:secret@127.0.0.1:9/warehouse",
    MODELFLEET_BUCKET: "bucket",
    AWS_REGION: "us-east-1",
    AWS_ENDPOINT_URL_STS: "http://127.0.0.1:9",
    AWS_ACCESS_KEY_ID: "id",
    AWS_SECRET_ACCESS_KEY: "secret",
  };

  test.each([
    [["status"], "the ledger's Postgres does not answer at 127.0.0.1:9/modelfleet"],
    [
      ["run", join(process.cwd(), "examples/flights")],
      "STS at http://127.0.0.1:9 refused (GetCallerIdentity): connect ECONNREFUSED 127.0.0.1:9",
    ],
    [["schedule", "pause", "churn", "--note", "why"], "Temporal does not answer at 127.0.0.1:9"],
    [
      ["plan", join(process.cwd(), "examples/flights"), "--at", "2013-07-01"],
      "the warehouse (WAREHOUSE_URL) does not answer at 127.0.0.1:9/warehouse",
    ],
  ])("%j", async (words, said) => {
    const { code, stderr } = await modelfleet(words, { directory: folder, environment: nowhere });
    expect(stderr).toMatch(new RegExp(`^error: ${said.replace(/[()]/g, "\\$&")}\\n  try: `));
    expect(stderr).toContain("modelfleet local up");
    expect(stderr).not.toContain("secret");
    expect(code).toBe(1);
  });

  test("for a folder without a stack, it says which setting is missing", async () => {
    const { code, stderr } = await modelfleet(["status"], { directory: folder, environment });
    expect(stderr).toMatch(/^error: MODELFLEET_LEDGER_URL \(.*\) is not set/);
    expect(code).toBe(1);
  });

  test("doctor goes on to check the others, and ends with exit code 1", async () => {
    const options = { directory: folder, environment: nowhere };
    const { healthy, checks } = await modelfleetJson(["doctor"], options);
    expect(healthy).toBe(false);
    expect(checks).toContainEqual({ part: "node", state: "ok", found: process.versions.node });
    expect(checks).toContainEqual(expect.objectContaining({ part: "temporal", state: "problem" }));
    expect((await modelfleet(["doctor"], options)).code).toBe(1);
  });
});

describe("colours", () => {
  test("stay away from what is no terminal", async () => {
    const { stderr } = await modelfleet(["pln"], { environment: { ...environment, CI: "true" } });
    expect(stderr).not.toContain("\u001b");
  });
});

describe("validate", () => {
  test("passes the example without asking the warehouse", async () => {
    const document = await modelfleetJson(["validate", "examples/flights/fleet.ts", "--offline"]);
    expect(document).toEqual({
      valid: true,
      files: [{ file: "examples/flights/fleet.ts", fleet: "flight-delays", issues: [] }],
    });
  });

  test("tells field, value and mend of every error, with exit code 1", async () => {
    writeFileSync(join(folder, "bad.fleet.ts"), "export default { name: 'Bad Name', sorce: 1 };\n");
    const { code, stdout } = await modelfleet(["validate", ".", "--offline"], {
      directory: folder,
    });
    expect(stdout).toContain('name "Bad Name": lower-case letters');
    expect(stdout).toContain(
      'sorce 1: is not a field of a fleet file\n    try: did you mean "source"?',
    );
    expect(stdout).toContain("stages: is missing");
    expect(code).toBe(1);
  });

  test("finds two files that declare the same fleet", async () => {
    const example = JSON.stringify(join(process.cwd(), "examples/flights/fleet.ts"));
    const twins = mkdtempSync(join(folder, "twins-"));
    for (const name of ["a", "b"]) {
      writeFileSync(
        join(twins, `${name}.fleet.ts`),
        `import f from ${example};\nexport default { ...f,
        source: { ...f.source, query: "select 1 where :floor < :ceiling", customers: undefined },
        training: { ...f.training, source: ${JSON.stringify(join(process.cwd(), "training/xgboost_regression"))} } };\n`,
      );
    }
    const { code, stdout } = await modelfleet(["validate", twins, "--offline"]);
    expect(stdout.match(/is also the name of the fleet in/g)).toHaveLength(2);
    expect(code).toBe(1);
  });
});
