/** What goes with every workflow without its doing: whose log line it is, and which trace its steps belong to. */
import { type Headers, workflowInfo, type WorkflowInterceptors } from "@temporalio/workflow";
import { TRACE_HEADER } from "../fleet/trace-context.js";
import { attributeKeys } from "./search-attributes.js";

/**
 * Temporal's bundle wants a factory of this name; it is called once a workflow. The trace is handed on as it came, to
 * activities, children and the next run: a workflow of days is no span that a process could hold.
 */
export const interceptors = (): WorkflowInterceptors => {
  let trace: Headers = {};
  const handOn = <Input extends { readonly headers: Headers }>(input: Input): Input => ({
    ...input,
    headers: { ...trace, ...input.headers },
  });
  return {
    inbound: [
      {
        execute: (input, next) => {
          const carried = input.headers[TRACE_HEADER];
          if (carried !== undefined) trace = { [TRACE_HEADER]: carried };
          return next(input);
        },
      },
    ],
    outbound: [
      {
        scheduleActivity: (input, next) => next(handOn(input)),
        startChildWorkflowExecution: (input, next) => next(handOn(input)),
        continueAsNew: (input, next) => next(handOn(input)),
        getLogAttributes: (input, next) => {
          const { typedSearchAttributes: found } = workflowInfo();
          const named = {
            fleet: found.get(attributeKeys.fleet),
            cycle: found.get(attributeKeys.cycle),
            customer: found.get(attributeKeys.customer),
          };
          return next({ ...input, ...named });
        },
      },
    ],
  };
};
