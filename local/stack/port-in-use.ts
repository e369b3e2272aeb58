/** Tells whether a local port is taken, and by which process where the machine lets us know. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import { connect, createServer } from "node:net";

export async function isPortAnswering(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", timeout: 1000 });
    const settle = (answers: boolean) => {
      socket.destroy();
      resolve(answers);
    };
    socket.once("connect", () => settle(true));
    socket.once("error", () => settle(false));
    socket.once("timeout", () => settle(false));
  });
}

export async function isPortTaken(port: number): Promise<boolean> {
  // macOS lets one bind 127.0.0.1 beside a listener on all addresses, so binding alone does not tell.
  if (await isPortAnswering(port)) return true;
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(true));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () =>
      server.close(() => resolve(false)),
    );
  });
}

/** For example `process 4711 (postgres)`; undefined when the owner cannot be seen. */
export function portOwner(port: number): string | undefined {
  return process.platform === "linux" ? linuxOwner(port) : lsofOwner(port);
}

function linuxOwner(port: number): string | undefined {
  const inodes = new Set(["tcp", "tcp6"].flatMap((table) => listeningInodes(table, port)));
  if (inodes.size === 0) return undefined;
  for (const pid of entries("/proc").filter((entry) => /^\d+$/.test(entry))) {
    const owns = entries(`/proc/${pid}/fd`).some((descriptor) =>
      inodes.has(socketInode(`/proc/${pid}/fd/${descriptor}`)),
    );
    if (owns) return `process ${pid} (${read(`/proc/${pid}/comm`).trim()})`;
  }
  return undefined;
}

/** /proc/net/tcp: address:port in hex, state 0A is LISTEN, the tenth column is the socket's inode. */
function listeningInodes(table: string, port: number): string[] {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, "0")}`;
  return read(`/proc/net/${table}`)
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .filter((fields) => fields[1]?.endsWith(wanted) === true && fields[3] === "0A")
    .flatMap((fields) => fields[9] ?? []);
}

function socketInode(link: string): string {
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(link))?.[1] ?? "";
  } catch {
    return "";
  }
}

function lsofOwner(port: number): string | undefined {
  try {
    const args = ["-nP", `-iTCP:${port}`, "-sTCP:LISTEN", "-Fpc"];
    const found = execFileSync("lsof", args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    const pid = /^p(\d+)$/m.exec(found)?.[1];
    const command = /^c(.+)$/m.exec(found)?.[1];
    return pid === undefined ? undefined : `process ${pid} (${command ?? "unknown"})`;
  } catch {
    return undefined;
  }
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
