/**
 * Failures whose message and stack travel as a payload, which the codec encrypts; in place of them Temporal then
 * shows "Encoded failure". Bundled with the workflows, and loaded by the worker, where payloads are encrypted.
 */
import { DefaultFailureConverter } from "@temporalio/common";

export const failureConverter = new DefaultFailureConverter({ encodeCommonAttributes: true });
