import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

test("dependencies point toward fleet/, and nothing but the CLI's main knows the embedded stack", () => {
  const folders = [
    "fleet",
    "settings",
    "workflows",
    "activities",
    "worker",
    "client",
    "local",
    "index.ts",
  ];
  const output = execFileSync(
    process.execPath,
    [
      "node_modules/dependency-cruiser/bin/dependency-cruise.mjs",
      ...folders,
      "--config",
      ".dependency-cruiser.cjs",
    ],
    { encoding: "utf8" },
  );
  expect(output).toContain("no dependency violations found");
});
