/** `modelfleet codec-server`: lets Temporal's web UI and command show what is encrypted. */
import { once } from "node:events";
import type { Command } from "commander";
import { readCodecSettings } from "../codec-settings.js";
import { startCodecServer, type Served } from "../codec-server.js";
import { withExamples } from "./options.js";
import { safe, say } from "./print.js";
import type { Shell } from "./shell.js";

export function configureCodecServer(command: Command, shell: Shell): void {
  command.option(
    "--without-authorization",
    "anybody on this machine may ask (loopback address only)",
  );
  withExamples(command, [
    "modelfleet codec-server",
    "MODELFLEET_CODEC_ORIGIN=http://127.0.0.1:7234 modelfleet codec-server --without-authorization",
  ]);
  command.action(async (flags: { withoutAuthorization?: boolean }) => {
    const settings = await readCodecSettings(
      shell.environment(),
      flags.withoutAuthorization === true,
    );
    const server = await startCodecServer({
      ...settings,
      onServed: (served) => say(shell, lineOf(served)),
    });
    say(
      shell,
      `codec server ready at http://${settings.host}:${server.port}, for namespace ${settings.namespace}; Ctrl-C ends it`,
    );
    await Promise.race([once(process, "SIGINT"), once(process, "SIGTERM")]);
    await server.close();
  });
}

/** Who read how much, with the time: what an audit asks for. */
function lineOf({ by, what, payloads, unreadable, because }: Served): string {
  const left = unreadable === 0 ? "" : `, ${unreadable} of them unreadable: ${because ?? ""}`;
  return safe(`${new Date().toISOString()} ${what} ${payloads} for ${by}${left}`);
}
