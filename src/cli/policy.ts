/** `becalm policy`: the policy versions of a namespace, and one as its file said it. */
import { stringify } from "yaml";
import { BecalmError } from "../model/errors.ts";
import { type Policy, storedPolicyFault } from "../policy/policy.ts";
import { policyDocument } from "../present/policy-document.ts";
import { ruleText } from "../present/rule-text.ts";
import { textTable } from "../present/text-table.ts";
import { printable } from "../present/text-width.ts";
import type { PolicyRecord } from "../stores/store.ts";
import { EXIT } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type PolicyOptions = StoreOptions & { readonly reference?: string | undefined; readonly json: boolean };

export async function policy(terminal: Terminal, options: PolicyOptions): Promise<number> {
  return withReading(options, "policy", async ({ runtime }) => {
    const records = await runtime.store.policies();
    const { reference } = options;
    const found = records.filter(
      ({ key }) => reference === undefined || key === reference || nameOf(key) === reference,
    );
    if (reference !== undefined && found.length === 0) throw unknown(reference, records);
    const isOne = reference !== undefined && found.length === 1;
    for (const record of options.json || isOne ? found : []) await tellOne(terminal, record, options.json);
    if (!options.json && !isOne) await tellAll(terminal, found);
    return found.some((record) => storedPolicyFault(record) !== null) ? EXIT.failed : EXIT.done;
  });
}

function nameOf(key: string): string {
  return key.slice(0, key.lastIndexOf("@"));
}

async function tellAll(terminal: Terminal, records: readonly PolicyRecord[]): Promise<void> {
  if (records.length === 0)
    return terminal.note(terminal.say("The namespace has no policies.", "此命名空间没有策略。"));
  const { say, reader } = terminal;
  const { language } = reader;
  const rows = records.map((record) => {
    const rule = tryPolicy(record)?.converge ?? null;
    const fault = storedPolicyFault(record);
    return [
      record.key,
      fault === null
        ? rule === null
          ? say("every alert by itself", "每条告警单独处理")
          : ruleText(rule, null)[language]
        : `✗ ${fault}`,
    ];
  });
  for (const line of textTable([
    [say("policy", "策略"), say("rule", "规则")],
    ...rows.map((row) => row.map(printable)),
  ]))
    await terminal.out(line);
}

async function tellOne(terminal: Terminal, record: PolicyRecord, isJson: boolean): Promise<void> {
  const fault = storedPolicyFault(record);
  const read = tryPolicy(record);
  const rule = read?.converge == null ? null : ruleText(read.converge, null);
  if (isJson)
    return terminal.json({
      policy: record.key,
      verified: fault === null ? { ok: true } : { ok: false, what: fault },
      rule,
      document: read === null ? null : policyDocument(read, "hide"),
    });
  const { green, red, bold } = terminal.outColors;
  await terminal.out(bold(record.key));
  await terminal.out(
    fault === null ? green(terminal.say("✓ its text makes this version", "✓ 内容与版本一致")) : red(`✗ ${fault}`),
  );
  if (rule !== null) await terminal.out(rule[terminal.reader.language]);
  if (read === null) return;
  await terminal.out("");
  const text = stringify({ policies: [policyDocument(read, "hide")] }, { lineWidth: 0 }).trimEnd();
  for (const line of text.split("\n")) await terminal.out(printable(line));
}

function tryPolicy({ value }: PolicyRecord): Policy | null {
  try {
    return JSON.parse(value) as Policy;
  } catch {
    return null;
  }
}

function unknown(reference: string, records: readonly PolicyRecord[]): BecalmError {
  const names = [...new Set(records.map(({ key }) => nameOf(key)))];
  return new BecalmError(
    "BECALM_NOT_FOUND",
    `The namespace has no policy ${JSON.stringify(reference)}. It has ${names.join(", ") || "none"}.`,
    { details: { reference } },
  );
}
