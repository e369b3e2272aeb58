/** Every workflow, for Temporal's bundle, which needs one entry. */
import "./versioning.js";

export { releaseCohort } from "./release-cohort.js";
export { collectFleet } from "./collect-fleet.js";
export { destroyFleet } from "./destroy-fleet.js";
export { releaseModel } from "./release-model.js";
export { retrainCohort } from "./retrain-cohort.js";
export { retrainFleet } from "./retrain-fleet.js";
export { retrainOnSchedule } from "./retrain-on-schedule.js";
export { retrainModel } from "./retrain-model.js";
export { retrainShard } from "./retrain-shard.js";
export { serveEndpoint } from "./serve-endpoint.js";
export { watchDrift } from "./watch-drift.js";
export { watchJobs } from "./watch-jobs.js";
export { watchRegistry } from "./watch-registry.js";
export { withdrawCohort } from "./withdraw-cohort.js";
export { withdrawModel } from "./withdraw-model.js";
