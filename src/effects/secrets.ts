/**
 * Secrets of webhooks: read when an attempt begins, so that a renewed one is used at once, and never written anywhere.
 */
import { readFile } from "node:fs/promises";
import type { SecretSource } from "../policy/policy.ts";

/** Why a secret cannot be used; names where it lies, and not what it is. */
export class SecretUnreadable extends Error {}

export async function readSecret(source: SecretSource): Promise<string> {
  const text = "file" in source ? await readSecretText(source.file) : process.env[source.env];
  const secret = text?.trim() ?? "";
  if (secret !== "") return secret;
  throw new SecretUnreadable(`${whereText(source)} holds no secret`);
}

async function readSecretText(path: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "it failed";
    throw new SecretUnreadable(`the file ${path} cannot be read (${code})`);
  }
}

function whereText(source: SecretSource): string {
  return "file" in source ? `the file ${source.file}` : `the variable ${source.env}`;
}

export async function readSecrets(
  sources: Readonly<Record<string, SecretSource>>,
): Promise<Readonly<Record<string, string>>> {
  const read = Object.entries(sources).map(async ([name, source]) => [name, await readSecret(source)] as const);
  return Object.fromEntries(await Promise.all(read));
}

const HIDDEN = "[hidden]";

/** A target may answer with what it was sent: none of that goes into the audit. */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  const forms = secrets.flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    encodeURI(secret),
    inJson(secret),
    inJson(inJson(secret)),
    Buffer.from(secret).toString("base64"),
  ]);
  const longestFirst = [...new Set(forms)].sort((a, b) => b.length - a.length);
  return longestFirst.reduce((clean, form) => clean.replaceAll(form, HIDDEN), text);
}

function inJson(text: string): string {
  return JSON.stringify(text).slice(1, -1);
}
