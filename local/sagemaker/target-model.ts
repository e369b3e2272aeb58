/** Which object of the model prefix a request means, and which names are refused before anything is read. */
import { validationError } from "./runtime-error.js";

const LONGEST = 1024;

/** Returns `targetModel` when it is a plain relative key; throws ValidationError otherwise. */
export function checkTargetModel(targetModel: string): string {
  const problem = problemOf(targetModel);
  if (problem === null) return targetModel;
  throw validationError(
    `TargetModel ${JSON.stringify(targetModel.slice(0, 100))} ${problem}: give the object's key relative to the ` +
      "endpoint's model prefix, such as customer/model.tar.gz",
  );
}

function problemOf(targetModel: string): string | null {
  if (targetModel === "") return "is empty";
  if (targetModel.length > LONGEST) return `has more than ${LONGEST} characters`;
  if (targetModel !== targetModel.trim()) return "begins or ends with a blank";
  // AWS API model, TargetModelHeader: printable ASCII. So nothing looks like a dot or slash that is none.
  if (/[^ -~]|\\/.test(targetModel)) return "holds a backslash or what is not printable ASCII";
  // S3 takes keys literally, so an encoded dot or slash is never a key: it is somebody trying doors.
  if (/%(2e|2f|5c|00)/i.test(targetModel)) return "holds an encoded dot or slash";
  if (targetModel.startsWith("/")) return "begins with a slash";
  if (targetModel.split("/").some((part) => part === "." || part === ".." || part === "")) {
    return "holds an empty part, . or ..";
  }
  return null;
}
