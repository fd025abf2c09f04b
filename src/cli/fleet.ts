/** `becalm check --fleet`: every stored instance into this program, other policies and another machine. Only reads. */
import type { AnyStateMachine } from "xstate";
import { dimensionText, ruleGoverns } from "../convergence/dimension-key.ts";
import { loadPolicySet } from "../formats/policy-file.ts";
import { decodeCheckpoint, type Instance } from "../instance/checkpoint.ts";
import { isOpenState } from "../instance/open-index.ts";
import { topLevel } from "../instance/step.ts";
import { canonicalJson } from "../model/canonical-json.ts";
import { BecalmError } from "../model/errors.ts";
import type { Policy } from "../policy/policy.ts";
import { type CompiledPolicy, compilePolicy } from "../policy/policy-versions.ts";
import type { Sentence } from "../present/sentences.ts";
import { count } from "../present/text-table.ts";
import { misfits } from "../simulate/other-machine.ts";
import type { StoredInstance } from "../stores/store.ts";
import { EXIT } from "./exit-codes.ts";
import { missingTimer } from "./loose-ends.ts";
import { loadMachine } from "./machine-file.ts";
import { Progress } from "./progress.ts";
import { readText } from "./read-text.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type FleetOptions = StoreOptions & {
  readonly files: readonly string[];
  readonly machine?: string;
  readonly json: boolean;
};

/**
 * `is`: what a program can tell them apart by. The first two stop an instance, so they fail the check; the others are
 * what follows from a change.
 */
type Finding = {
  readonly id: string;
  readonly is: "quarantined" | "lost_timer" | "policy_gone" | "not_matched" | "other_group" | "other_rule";
  /** `en` is what programs get. */
  readonly what: Sentence;
};

type Against = {
  readonly machine: AnyStateMachine | null;
  /** null: policies are not checked. */
  readonly policies: ReadonlyMap<string, CompiledPolicy> | null;
};

type Reader = Parameters<Parameters<typeof withReading>[2]>[0];

const PAGE_COUNT = 256;
const FAILING: readonly Finding["is"][] = ["quarantined", "lost_timer"];

export async function checkFleet(terminal: Terminal, options: FleetOptions): Promise<number> {
  terminal.outlivesReader();
  const sets = await Promise.all(options.files.map(async (file) => loadPolicySet(await readText(file), { file })));
  const policies = sets.flatMap((set) => set.policies.map((policy) => [policy.name, compilePolicy(policy)] as const));
  const against: Against = {
    machine: options.machine === undefined ? null : await loadMachine(terminal, options.machine),
    policies: options.files.length === 0 ? null : new Map(policies),
  };
  return withReading(options, "check --fleet", async (reader) => {
    const totals = new Map<Finding["is"], number>();
    let instances = 0;
    const progress = new Progress(terminal);
    for await (const stored of allStored(reader)) {
      instances += 1;
      for (const finding of await findingsOf(reader, stored, against)) {
        totals.set(finding.is, (totals.get(finding.is) ?? 0) + 1);
        await tell(terminal, finding, options.json);
      }
      progress.update(() =>
        terminal.say(`${instances.toLocaleString("en")} instances`, `${instances.toLocaleString("en")} 个实例`),
      );
    }
    progress.end();
    const isFailed = FAILING.some((kind) => totals.has(kind));
    await tellTotals(terminal, { instances, totals, isFailed }, options.json);
    return isFailed ? EXIT.failed : EXIT.done;
  });
}

async function* allStored(reader: Reader): AsyncGenerator<StoredInstance> {
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page = await reader.runtime.store.list({ limit: PAGE_COUNT, ...(cursor === undefined ? {} : { cursor }) });
    yield* page.instances;
    cursor = page.next;
  }
}

async function findingsOf(reader: Reader, stored: StoredInstance, { machine, policies }: Against): Promise<Finding[]> {
  const { id } = stored;
  let instance: Instance;
  try {
    instance = decodeCheckpoint(stored, reader.runtime.versions);
  } catch (error) {
    if (!(error instanceof BecalmError)) throw error;
    const why = `${error.code}: ${error.message}`;
    const what = { en: `is quarantined by this version: ${why}`, zh: `被此版本隔离：${why}` };
    return [{ id, is: "quarantined", what }];
  }
  const findings = (machine === null ? [] : misfits(machine, instance)).map((what) => misfitOf(id, what));
  const missing = await missingTimer(reader, stored);
  if (missing !== null)
    findings.push({
      id,
      is: "lost_timer",
      what: { en: `has lost its timer: ${missing}`, zh: `丢失了定时器：${missing}` },
    });
  const isOpen = isOpenState(topLevel(instance.snapshot.state));
  if (policies === null || !isOpen || instance.kind !== "action") return findings;
  const change = await changeOf(reader, instance, policies);
  return change === null ? findings : [...findings, { id, ...change }];
}

function misfitOf(id: string, what: string): Finding {
  const isQuarantined = what.includes("quarantined");
  const zh = isQuarantined ? `在该状态机中会被隔离：${what}` : `在该状态机中会丢失定时器：${what}`;
  return { id, is: isQuarantined ? "quarantined" : "lost_timer", what: { en: what, zh } };
}

/**
 * What the new policies mean to an instance that is not at rest. It goes on under its own version; receipts of its
 * alert find it still.
 */
async function changeOf(
  reader: Reader,
  { id, policy: name, policyVersion }: Instance,
  policies: ReadonlyMap<string, CompiledPolicy>,
): Promise<Omit<Finding, "id"> | null> {
  const now = policies.get(name);
  if (now?.policy.version === policyVersion) return null;
  const goesOn = { en: `it continues under version ${policyVersion}`, zh: `继续按版本 ${policyVersion} 执行` };
  const change = (is: Finding["is"], en: string, zh: string) => ({ is, what: { en, zh } });
  if (now === undefined)
    return change(
      "policy_gone",
      `policy "${name}" is gone: ${goesOn.en}, and nothing new is made under it`,
      `策略 "${name}" 已不存在：${goesOn.zh}，且不再按它新建实例`,
    );
  const { birth, policy: was } = await reader.history(id);
  const labels = birth.alert?.labels ?? {};
  if (!now.matches(labels))
    return change(
      "not_matched",
      `policy "${name}" no longer matches its alert: ${goesOn.en}`,
      `策略 "${name}" 不再匹配其告警：${goesOn.zh}`,
    );
  if (groupText(was, labels) !== groupText(now.policy, labels))
    return change(
      "other_group",
      `its alert would go to another group when it fires again: ${goesOn.en}`,
      `其告警再次触发时会进入另一个收敛组：${goesOn.zh}`,
    );
  if (canonicalJson(was.converge) === canonicalJson(now.policy.converge)) return null;
  return change(
    "other_rule",
    `its group keeps its rule until it closes, and the next group has another rule: ${goesOn.en}`,
    `其收敛组关闭前仍用原规则，之后用新规则：${goesOn.zh}`,
  );
}

function groupText({ converge }: Policy, labels: Readonly<Record<string, string>>): string | null {
  return converge !== null && ruleGoverns(converge, labels) ? dimensionText(converge, labels) : null;
}

async function tell(terminal: Terminal, finding: Finding, isJson: boolean): Promise<void> {
  if (isJson) return terminal.json({ ...finding, what: finding.what.en });
  const { red, yellow } = terminal.outColors;
  const mark = FAILING.includes(finding.is) ? red("✗") : yellow("!");
  await terminal.out(`${mark} ${finding.id} ${finding.what[terminal.reader.language]}`);
}

type Totals = {
  readonly instances: number;
  readonly totals: ReadonlyMap<Finding["is"], number>;
  readonly isFailed: boolean;
};

async function tellTotals(terminal: Terminal, { instances, totals, isFailed }: Totals, isJson: boolean): Promise<void> {
  const found = Object.fromEntries(totals);
  if (isJson) return terminal.json({ summary: { instances, ok: !isFailed, ...found } });
  const { green, red } = terminal.outColors;
  const { say } = terminal;
  const what = [...totals].map(([is, number]) => `${number} ${is}`).join(say(", ", "，"));
  const all = say(count(instances, "instance", "instances"), `${instances} 个实例`);
  const outcome = what === "" ? say(" fit", "均适用") : `${say(": ", "：")}${what}`;
  await terminal.out(isFailed ? red(`${all}${outcome}`) : green(`✓ ${all}${outcome}`));
}
