/** What the server can do with a container image: run its framework in Python, skip it, or not pull it. */

export type ImageKind = "python" | "noop" | "unknown";

/** Framework containers whose script mode runs in the local Python. */
const pythonRepositories = ["sagemaker-xgboost", "sagemaker-scikit-learn"];

/** An image that does nothing at once, to measure what is around a job. */
const noopRepository = "modelfleet-noop";

export function imageKind(image: string): ImageKind {
  const repository = repositoryOf(image);
  if (repository.split("/").includes(noopRepository)) return "noop";
  return pythonRepositories.some((name) => repository.includes(name)) ? "python" : "unknown";
}

/** `registry/repo/sitory:tag@digest` without registry, tag and digest. */
function repositoryOf(image: string): string {
  const path = image.includes("/") ? image.slice(image.indexOf("/") + 1) : image;
  return path.replace(/[@:].*$/, "");
}
