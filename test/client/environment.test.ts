/** Where a command finds the stack it talks to. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { loadEnvironment } from "../../client/environment.js";
import { setting, workflowPage } from "../../client/settings.js";

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "modelfleet-environment-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(path: string, lines: string): string {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, lines);
  return file;
}

describe("the nearest stack's settings", () => {
  test("are found from a folder below it", () => {
    const file = write(".modelfleet/local/env", "AWS_REGION=us-east-1\n");
    mkdirSync(join(folder, "fleets/deep"), { recursive: true });
    const environment: NodeJS.ProcessEnv = {};
    expect(loadEnvironment(environment, join(folder, "fleets/deep"))).toBe(file);
    expect(environment.AWS_REGION).toBe("us-east-1");
  });

  test("win over the shell's, so that its AWS keys never meet local endpoints", () => {
    write(".modelfleet/local/env", "AWS_ACCESS_KEY_ID=local\nAWS_SESSION_TOKEN=\n");
    const environment: NodeJS.ProcessEnv = {
      AWS_ACCESS_KEY_ID: "AKIAREAL",
      AWS_SESSION_TOKEN: "real",
      AWS_PROFILE: "production",
      EDITOR: "vi",
    };
    loadEnvironment(environment, folder);
    expect(environment).toEqual({
      AWS_ACCESS_KEY_ID: "local",
      AWS_SESSION_TOKEN: "",
      EDITOR: "vi",
    });
  });

  test("leave the AWS profile alone when they bring no keys", () => {
    write(".modelfleet/local/env", "TEMPORAL_ADDRESS=127.0.0.1:7233\n");
    const environment: NodeJS.ProcessEnv = { AWS_PROFILE: "production" };
    loadEnvironment(environment, folder);
    expect(environment.AWS_PROFILE).toBe("production");
  });
});

describe("MODELFLEET_ENV_FILE", () => {
  test("names another file, relative to the folder", () => {
    write(".modelfleet/local/env", "AWS_REGION=near\n");
    write("settings/production", "AWS_REGION=far\n");
    const environment: NodeJS.ProcessEnv = { MODELFLEET_ENV_FILE: "settings/production" };
    loadEnvironment(environment, folder);
    expect(environment.AWS_REGION).toBe("far");
  });

  test("takes no file at all when it is empty", () => {
    write(".modelfleet/local/env", "AWS_REGION=near\n");
    const environment: NodeJS.ProcessEnv = { MODELFLEET_ENV_FILE: "" };
    expect(loadEnvironment(environment, folder)).toBeUndefined();
    expect(environment.AWS_REGION).toBeUndefined();
  });

  test("is an error when the file is not there", () => {
    expect(() => loadEnvironment({ MODELFLEET_ENV_FILE: "nowhere" }, folder)).toThrow(
      /MODELFLEET_ENV_FILE names .*nowhere, which does not exist/,
    );
  });
});

test("a setting that is missing names itself, its meaning and the mend", () => {
  expect(() => setting({}, "MODELFLEET_BUCKET")).toThrow(
    /MODELFLEET_BUCKET \(the S3 bucket .*\) is not set/,
  );
  expect(() => setting({ MODELFLEET_BUCKET: "" }, "MODELFLEET_BUCKET")).toThrow(/not set/);
});

test("a workflow's page escapes the slashes of its id", () => {
  const environment = { MODELFLEET_TEMPORAL_UI: "http://127.0.0.1:7234/" };
  expect(workflowPage(environment, { workflowId: "retrain-fleet/a/2013-07-01", runId: "r" })).toBe(
    "http://127.0.0.1:7234/namespaces/default/workflows/retrain-fleet%2Fa%2F2013-07-01/r/history",
  );
  expect(workflowPage({}, { workflowId: "w" })).toBeUndefined();
});
