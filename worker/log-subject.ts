/** Lets every line that an activity logs say whose it is: fleet, cycle and customer, from what the activity was asked. */
import type { ActivityInterceptorsFactory } from "@temporalio/worker";

export interface Subject {
  readonly fleet?: string;
  readonly cycle?: string;
  /** The key. */
  readonly customer?: string;
}

export const logSubject: ActivityInterceptorsFactory = () => {
  let subject: Subject = {};
  return {
    inbound: {
      execute: (input, next) => {
        subject = subjectOf(input.args);
        return next(input);
      },
    },
    outbound: {
      getLogAttributes: (attributes, next) => next({ ...attributes, ...subject }),
    },
  };
};

/** Activities take one object, which calls these by the same names everywhere. */
export function subjectOf([input]: readonly unknown[]): Subject {
  if (typeof input !== "object" || input === null) return {};
  const { fleet, cycle, customerKey } = input as Readonly<Record<string, unknown>>;
  return {
    ...(typeof fleet === "string" ? { fleet } : {}),
    ...(typeof cycle === "string" ? { cycle } : {}),
    ...(typeof customerKey === "string" ? { customer: customerKey } : {}),
  };
}
