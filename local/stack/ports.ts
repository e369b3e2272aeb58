/** The ports of a stack, counted from one base port, so that two stacks need only two base ports. */
import { StackError } from "./stack-error.js";

export const DEFAULT_BASE_PORT = 7230;
const portsPerStack = 12;

export interface StackPorts {
  readonly sagemaker: number;
  readonly postgres: number;
  readonly s3: number;
  readonly temporal: number;
  readonly temporalUi: number;
  readonly s3Internal: {
    readonly master: number;
    readonly masterGrpc: number;
    readonly volume: number;
    readonly volumeGrpc: number;
    readonly filer: number;
    readonly filerGrpc: number;
    readonly gatewayGrpc: number;
  };
}

export function stackPorts(basePort: number): StackPorts {
  if (!Number.isInteger(basePort) || basePort < 1024 || basePort + portsPerStack > 65_536) {
    throw new StackError(
      "StackSettingInvalid",
      `base port ${basePort} does not fit: a stack takes ${portsPerStack} ports from 1024 up to 65535`,
      `leave --base-port out (${DEFAULT_BASE_PORT}), or choose one such as 17230`,
    );
  }
  return {
    sagemaker: basePort,
    postgres: basePort + 1,
    s3: basePort + 2,
    temporal: basePort + 3,
    temporalUi: basePort + 4,
    s3Internal: {
      master: basePort + 5,
      masterGrpc: basePort + 6,
      volume: basePort + 7,
      volumeGrpc: basePort + 8,
      filer: basePort + 9,
      filerGrpc: basePort + 10,
      gatewayGrpc: basePort + 11,
    },
  };
}
