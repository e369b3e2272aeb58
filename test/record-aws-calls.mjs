/**
 * Loaded into the programs that tests start, by NODE_OPTIONS: when that is the command or its worker, each AWS call is
 * written to the file that this module's address names, one JSON document a line.
 */
import { appendFileSync } from "node:fs";
import Module from "node:module";
import { isMainThread } from "node:worker_threads";

const file = new URL(import.meta.url).searchParams.get("to");
const [, program = "", ...words] = process.argv;
const watched = new Set();
/** Commands that run with a worker's settings and rights: docs/iam.md says so. */
const WORKERS = new Set(["worker", "export", "import"]);
const isCommand = /[\\/]modelfleet(\.js)?$/.test(program);

if (file !== null && isMainThread && isCommand) {
  // The SDK takes a tenth of a second to load, and most commands do without it.
  const { _load: load } = Module;
  Module._load = function (request, ...rest) {
    const loaded = Reflect.apply(load, this, [request, ...rest]);
    if (request === "@smithy/core/client") watch(loaded.Client);
    return loaded;
  };
}

/** Each copy of the SDK's client once. */
function watch(Client) {
  if (watched.has(Client)) return;
  watched.add(Client);
  const { send } = Client.prototype;
  const who = WORKERS.has(words.find((word) => !word.startsWith("-"))) ? "worker" : "user";
  const seen = new Set();
  Client.prototype.send = function (command, ...rest) {
    // What the call itself waits for first: it is written down before the call is made, and a kill loses none.
    const written = isStage(this.config).then((stage) => {
      const line = lineOf(stage ? `${who} in a stage` : who, this.config, command);
      if (!seen.has(line)) appendFileSync(file, `${line}\n`);
      seen.add(line);
    });
    const sent = () => Reflect.apply(send, this, [command, ...rest]);
    return written.then(sent, sent);
  };
}

/** Credentials other than those that the program was given are of a role that it assumed. */
async function isStage({ credentials }) {
  if (typeof credentials !== "function" || process.env.AWS_SESSION_TOKEN) return false;
  const { accessKeyId, sessionToken } = await credentials();
  return Boolean(sessionToken) && accessKeyId !== process.env.AWS_ACCESS_KEY_ID;
}

const lineOf = (caller, { serviceId: service }, { input, constructor }) =>
  JSON.stringify({
    caller,
    service,
    operation: constructor.name.replace(/Command$/, ""),
    input: Object.fromEntries(Object.entries(input).map(([name, value]) => [name, short(value)])),
  });

/** Names, ARNs and lists of them; bodies and rows are nobody's business. */
function short(value, depth = 0) {
  if (typeof value === "string") return value.length > 2048 ? "" : value;
  if (typeof value !== "object" || value === null || value[Symbol.asyncIterator]) return null;
  if (ArrayBuffer.isView(value) || depth > 2) return null;
  if (Array.isArray(value)) return value.map((one) => short(one, depth + 1));
  return Object.fromEntries(
    Object.entries(value).map(([name, one]) => [name, short(one, depth + 1)]),
  );
}
