/** What `becalm serve` signs with, and under which address. */
import { BecalmError } from "../model/errors.ts";
import { actionsOf, type PolicySet } from "../policy/policy.ts";
import { readSecretFile } from "../server/auth/secret-file.ts";
import { Links } from "../server/links/links.ts";
import { Signer } from "../system/signer.ts";
import { usedWrongly } from "./exit-codes.ts";

/** Holds the secret itself; no option does, because options are seen by everybody on the machine. */
export const SECRET_VARIABLE = "BECALM_SECRET";

export type LinkOptions = {
  readonly externalUrl?: string;
  /** A secret a line: the first one signs, all are accepted. */
  readonly secretFile?: string;
  readonly namespace: string;
};

/** null: no address was given, so no links are handed out. */
export function linksOf({ externalUrl, secretFile, namespace }: LinkOptions, secret: string | undefined): Links | null {
  if (externalUrl === undefined) {
    if (secretFile === undefined) return null;
    throw usedWrongly("--secret-file signs links, and links need an address: give --external-url URL too.");
  }
  if (!URL.canParse(externalUrl) || !/^https?:$/.test(new URL(externalUrl).protocol))
    throw usedWrongly("--external-url is not an address. Write it as https://HOST[:PORT][/PATH].");
  const text = secretFile === undefined ? (secret ?? "") : readSecretFile(secretFile, "The --secret-file");
  const secrets = text.split("\n").flatMap((line) => (line.trim() === "" ? [] : [line.trim()]));
  if (secrets.length === 0)
    throw usedWrongly(
      `--external-url needs a secret that signs links: give --secret-file FILE (\`openssl rand -hex 32\` prints one), or set ${SECRET_VARIABLE}.`,
    );
  return new Links({ externalUrl, signer: new Signer(secrets), namespace });
}

/** A target that is told to call back must be told where. */
export function requireCallbackAddress({ policies }: Pick<PolicySet, "policies">, links: Links | null): void {
  const waiting = policies.filter((policy) =>
    actionsOf(policy).some((action) => action.kind === "webhook" && action.callback === true),
  );
  if (links !== null || waiting.length === 0) return;
  const names = waiting.map(({ name }) => `"${name}"`).join(", ");
  const text = `Policy ${names} says \`callback: true\`, and targets must know where to call back. Give --external-url URL and --secret-file FILE.`;
  throw new BecalmError("BECALM_POLICY_INVALID", text);
}
