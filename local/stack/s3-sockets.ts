/** The socket files that SeaweedFS leaves in /tmp: their place is fixed in it, so another user's block ours. */
import { rmSync, statSync } from "node:fs";
import type { StackPorts } from "./ports.js";
import { StackError } from "./stack-error.js";

/** Before a start: SeaweedFS warns of a file that it cannot replace, and then never gets ready. */
export function refuseForeignSockets(ports: StackPorts): void {
  for (const file of socketFiles(ports)) {
    const owner = statSync(file, { throwIfNoEntry: false })?.uid;
    const self = process.getuid?.();
    if (owner === undefined || self === 0 || owner === self) continue;
    throw new StackError(
      "PortInUse",
      `S3 (SeaweedFS) needs the file ${file}, which another user's (${owner}) SeaweedFS has left`,
      `have that user remove it, or move the stack with --base-port`,
    );
  }
}

/** After an end: what is killed does not clean up. */
export function removeSockets(ports: StackPorts): void {
  for (const file of socketFiles(ports)) {
    try {
      rmSync(file, { force: true });
    } catch {
      continue; // Another user's; not ours to remove.
    }
  }
}

function socketFiles(ports: StackPorts): string[] {
  const { masterGrpc, volumeGrpc, filerGrpc, gatewayGrpc, filer } = ports.s3Internal;
  return [
    `master-grpc-${masterGrpc}`,
    `volume-grpc-${volumeGrpc}`,
    `filer-grpc-${filerGrpc}`,
    `s3-grpc-${gatewayGrpc}`,
    `filer-${filer}`,
    `s3-${ports.s3}`,
  ].map((name) => `/tmp/seaweedfs-${name}.sock`);
}
