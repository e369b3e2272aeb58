/** Asks a gRPC server for its health with plain HTTP/2: a check needs no generated client. */
import { connect } from "node:http2";

/** HealthCheckResponse { status: SERVING }: field 1, varint 1. */
const serving = Buffer.from([0x08, 0x01]);

/** See https://github.com/grpc/grpc/blob/master/doc/health-checking.md */
export async function isGrpcServing(port: number, service: string): Promise<boolean> {
  const name = Buffer.from(service, "utf8");
  // HealthCheckRequest { service: name }, behind gRPC's prefix: not compressed, length in four bytes.
  const message = Buffer.concat([Buffer.from([0x0a, name.length]), name]);
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  const session = connect(`http://127.0.0.1:${port}`);
  try {
    return await new Promise<boolean>((resolve) => {
      session.once("error", () => resolve(false));
      const stream = session.request({
        ":method": "POST",
        ":path": "/grpc.health.v1.Health/Check",
        "content-type": "application/grpc",
        te: "trailers",
      });
      const chunks: Buffer[] = [];
      stream.setTimeout(2000, () => resolve(false));
      stream.on("data", (chunk: Buffer) => chunks.push(chunk));
      stream.once("error", () => resolve(false));
      stream.once("end", () => resolve(Buffer.concat(chunks).subarray(5).equals(serving)));
      stream.end(Buffer.concat([prefix, message]));
    });
  } finally {
    session.destroy();
  }
}
