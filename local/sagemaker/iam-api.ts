/** IAM's own API, of which the server offers GetRole. */
import type { Accounts } from "./accounts.js";
import type { CallCounts } from "./call-counts.js";
import { AwsError } from "./errors.js";
import { isAuthorized } from "./iam.js";
import { toXml } from "./query-protocol.js";
import { authenticate } from "./sigv4.js";
import { send, type Exchange } from "./wire.js";

const namespace = "https://iam.amazonaws.com/doc/2010-05-08/";

export interface Iam {
  readonly accounts: Accounts;
  readonly counts: CallCounts;
}

/** IAM and STS speak the same protocol at the same path: what tells them apart is what a request is signed for. */
export const isIam = ({ request }: Pick<Exchange, "request">): boolean =>
  /\/iam\/aws4_request\b/.test(request.headers.authorization ?? "");

/** Throws AwsError, which `answerStsError` lays out: IAM has the same errors. */
export async function answerIam({ accounts, counts }: Iam, exchange: Exchange): Promise<void> {
  const { principal } = await authenticate(accounts, exchange.request, exchange.body, "iam");
  const form = new URLSearchParams(exchange.body.toString("utf8"));
  const operation = form.get("Action") ?? "";
  if (operation !== "GetRole")
    throw new AwsError("InvalidAction", `The local IAM offers GetRole, not ${operation}.`);
  const name = form.get("RoleName") ?? "";
  const found = accounts.roleNamed(principal.account, name);
  const Arn = found?.arn ?? `arn:aws:iam::${principal.account}:role/${name}`;
  if (!isAuthorized(principal, { action: "iam:GetRole", resource: Arn }))
    throw new AwsError(
      "AccessDenied",
      `User: ${principal.arn} is not authorized to perform: iam:GetRole on resource: ${Arn}`,
      403,
    );
  if (found === undefined)
    throw new AwsError("NoSuchEntity", `The role with name ${name} cannot be found.`, 404);
  await counts.record(operation, name);
  const { response, requestId } = exchange;
  const [, , , , , path = ""] = Arn.split(":");
  const Role = {
    Path: path.slice("role".length, path.length - name.length),
    RoleName: name,
    Arn,
    AssumeRolePolicyDocument: encodeURIComponent(JSON.stringify(found.trust ?? letsIn(principal))),
  };
  const ResponseMetadata = { RequestId: requestId };
  const body = toXml({ GetRoleResult: { Role }, ResponseMetadata });
  const text = `<GetRoleResponse xmlns="${namespace}">${body}</GetRoleResponse>`;
  send(response, 200, requestId, { "content-type": "text/xml" }, text);
}

/** What a role of the settings without a trust policy of its own amounts to. */
const letsIn = ({ account }: { readonly account: string }) => ({
  Version: "2012-10-17",
  Statement: [
    {
      Effect: "Allow",
      Principal: { AWS: `arn:aws:iam::${account}:root`, Service: "sagemaker.amazonaws.com" },
      Action: "sts:AssumeRole",
    },
  ],
});
