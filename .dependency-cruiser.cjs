/** The direction of dependencies, as a rule: everything points toward fleet/. See docs/architecture.md. */
const only = (name, from, allowed, comment) => ({
  name,
  comment,
  severity: "error",
  from: { path: from, pathNot: "\\.test\\.ts$" },
  to: {
    path: "^(fleet|settings|workflows|activities|worker|client|local|training|test|bench|examples)/",
    pathNot: allowed,
  },
});

module.exports = {
  forbidden: [
    { name: "no-circular", severity: "error", from: {}, to: { circular: true } },
    only("fleet-is-pure", "^fleet/", "^fleet/", "the domain knows nobody"),
    {
      name: "fleet-imports-nothing-outside",
      comment: "zod in *.schema.ts, and a hash function: nothing else",
      severity: "error",
      from: { path: "^fleet/", pathNot: "\\.test\\.ts$" },
      to: {
        dependencyTypes: ["npm", "npm-dev", "core"],
        pathNot: "node_modules/(zod|@noble/hashes)/",
      },
    },
    only(
      "workflows-import-fleet",
      "^workflows/",
      "^(workflows|fleet|activities)/",
      "order and waiting",
    ),
    {
      name: "workflows-import-activity-types-only",
      comment: "a value import would bundle the AWS SDK into the sandbox without a word",
      severity: "error",
      from: { path: "^workflows/", pathNot: "\\.test\\.ts$" },
      to: { path: "^activities/", dependencyTypesNot: ["type-only"] },
    },
    only(
      "activities-import-fleet",
      "^activities/",
      "^(activities|fleet|workflows/messages)",
      "effects",
    ),
    only(
      "worker-wires",
      "^worker/",
      "^(worker|activities|fleet|settings|workflows/messages)",
      "the process",
    ),
    only(
      "client-asks",
      "^client/(?!cli/main)",
      "^(client|fleet|settings|workflows/)",
      "clients start, signal, query",
    ),
    only("settings-are-read", "^settings/", "^settings/", "what every process of ours starts from"),
    only(
      "cli-main",
      "^client/cli/main",
      "^(client|fleet|settings|workflows/|worker/|local/)",
      "the one door to the embedded stack",
    ),
    only(
      "local-is-a-leaf",
      "^local/",
      "^(local|fleet/(limits|search-attributes))",
      "stands in for the cloud",
    ),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    exclude: { path: "^dist/" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "require", "node", "default", "types"],
    },
  },
};
