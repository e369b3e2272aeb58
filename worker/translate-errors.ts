/** Lets every activity's error leave as a failure with a stable type. */
import type { ActivityInterceptorsFactory } from "@temporalio/worker";
import { translateError } from "../activities/translate-error.js";

export const translateErrors: ActivityInterceptorsFactory = () => ({
  inbound: {
    async execute(input, next) {
      try {
        return await next(input);
      } catch (error) {
        throw translateError(error);
      }
    },
  },
});
