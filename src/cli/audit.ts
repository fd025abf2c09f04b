/** `becalm audit verify`: every audit trail against the checkpoint that it must lead to, and what must move it against what the store has. */

import { birthOf } from "../instance/audit.ts";
import { identityFault } from "../instance/identity.ts";
import { type TrailFault, trailFault } from "../instance/trail.ts";
import { storedPolicyFault } from "../policy/policy.ts";
import { count } from "../present/text-table.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { readBundle } from "./bundle-file.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { stuckEffects } from "./loose-ends.ts";
import { Progress } from "./progress.ts";
import type { Terminal } from "./terminal.ts";
import { checkTrail, faultText } from "./trail.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type AuditOptions = StoreOptions & {
  readonly what: string;
  readonly ids: readonly string[];
  readonly all: boolean;
  /** A bundle instead of a store. */
  readonly file?: string;
  readonly json: boolean;
};

const PAGE_COUNT = 256;
const CHECKED_AT_ONCE = 64;

type Totals = { instances: number; entries: number; broken: number };

export async function audit(terminal: Terminal, options: AuditOptions): Promise<number> {
  if (options.what !== "verify")
    throw usedWrongly(`There is no \`becalm audit ${options.what}\`. Did you mean \`becalm audit verify\`?`);
  if (options.all && options.ids.length > 0) throw usedWrongly("Give ids or --all, not both.");
  if (options.file !== undefined) return verifyBundle(terminal, options.file, options);
  return withReading(options, "audit verify", async (instances) => {
    const totals: Totals = { instances: 0, entries: 0, broken: 0 };
    const progress = new Progress(terminal);
    for await (const ids of options.ids.length > 0 ? [options.ids] : allIds(instances)) {
      for (let start = 0; start < ids.length; start += CHECKED_AT_ONCE) {
        await verifySome(instances, ids.slice(start, start + CHECKED_AT_ONCE), {
          terminal,
          totals,
          isJson: options.json,
        });
        progress.update(
          (seconds) =>
            `${totals.instances} instances, ${totals.broken} broken, ${Math.round(totals.instances / seconds)}/s`,
        );
      }
    }
    progress.end();
    const isRemote = options.server !== undefined;
    if (options.ids.length === 0)
      await reportNamespace(instances, { terminal, totals, isJson: options.json, isRemote });
    await tellTotals(terminal, totals, options.json);
    return totals.broken > 0 ? EXIT.failed : EXIT.done;
  });
}

/** Ids of all instances, a page at a time, newest first. */
export async function* allIds(instances: InstanceReader): AsyncGenerator<readonly string[]> {
  let cursor: string | null | undefined;
  while (cursor !== null) {
    const page = await instances.runtime.store.list({ limit: PAGE_COUNT, ...(cursor === undefined ? {} : { cursor }) });
    yield page.instances.map(({ id }) => id);
    cursor = page.next;
  }
}

type Context = { readonly terminal: Terminal; readonly totals: Totals; readonly isJson: boolean };

async function verifySome(
  instances: InstanceReader,
  ids: readonly string[],
  { terminal, totals, isJson }: Context,
): Promise<void> {
  const checked = await Promise.all(ids.map(async (id) => ({ id, ...(await checkTrail(instances, id)) })));
  for (const one of checked) await addTo(one, { terminal, totals, isJson });
}

type Checked = { readonly id: string; readonly lines: readonly string[]; readonly fault: TrailFault | null };

async function addTo({ id, lines, fault }: Checked, { terminal, totals, isJson }: Context): Promise<void> {
  totals.instances += 1;
  totals.entries += Math.max(lines.length - 1, 0);
  if (fault === null) return;
  totals.broken += 1;
  if (isJson) await terminal.json({ id, ok: false, line: fault.line, what: fault.what });
  else await terminal.out(`${terminal.outColors.red("✗")} ${id}: ${faultText(fault)}`);
}

/** Every line of the bundle, and in it every trail. */
async function verifyBundle(terminal: Terminal, file: string, { ids, json }: AuditOptions): Promise<number> {
  const totals: Totals = { instances: 0, entries: 0, broken: 0 };
  const wanted = new Set(ids);
  const policies = new Set<string>();
  for await (const { instance, policyTexts } of readBundle(file)) {
    await addPolicies(policyTexts, policies, { terminal, totals, isJson: json });
    if (wanted.size > 0 && !wanted.has(instance.id)) continue;
    const { id, lines, checkpoint, birthHash = null } = instance;
    const fault = trailFault(lines, checkpoint, birthHash) ?? foreign(id, lines, birthHash);
    await addTo({ id, lines, fault }, { terminal, totals, isJson: json });
  }
  await tellTotals(terminal, totals, json);
  return totals.broken > 0 ? EXIT.failed : EXIT.done;
}

/** A redacted birth does not give the id that its alert had. */
function foreign(id: string, lines: readonly string[], birthHash: string | null): TrailFault | null {
  const what = birthHash === null ? identityFault(id, birthOf(id, lines), null) : null;
  return what === null ? null : { line: 0, what };
}

/** Each version once. */
async function addPolicies(
  texts: ReadonlyMap<string, string>,
  seen: Set<string>,
  { terminal, totals, isJson }: Context,
): Promise<void> {
  if (seen.size === texts.size) return;
  for (const [policy, value] of texts) {
    if (seen.has(policy)) continue;
    seen.add(policy);
    const what = storedPolicyFault({ key: policy, value });
    if (what === null) continue;
    totals.broken += 1;
    if (isJson) await terminal.json({ policy, ok: false, what });
    else await terminal.out(`${terminal.outColors.red("✗")} policy ${policy} ${what}`);
  }
}

/** What a server shows in place of a secret. */
const HIDDEN = "[hidden]";

/** What is wrong with the namespace as a whole: its policies, its lists, its outbox. `isRemote`: a server answers for the store. */
async function reportNamespace(
  instances: InstanceReader,
  { terminal, totals, isJson, isRemote }: Context & { readonly isRemote: boolean },
): Promise<void> {
  const { store } = instances.runtime;
  const records = await store.policies();
  const shown = isRemote ? records.filter(({ value }) => !value.includes(HIDDEN)) : records;
  if (shown.length < records.length)
    terminal.note(
      `${records.length - shown.length} of ${records.length} policy versions have secrets that this token may not see: they were not checked. Use an admin's token, or --store.`,
    );
  const policies = shown.map((record) => ({ policy: record.key, what: storedPolicyFault(record) }));
  const faults = [
    ...policies.flatMap(({ policy, what }) => (what === null ? [] : [{ policy, what }])),
    ...(await store.strayInstances()).map(({ id, what }) => ({ id, what: STRAY[what] })),
    ...(await stuckEffects(instances)).map(({ id, what }) => ({ effect: id, what })),
  ];
  for (const { what, ...named } of faults) {
    totals.broken += 1;
    const [kind, name] = Object.entries(named)[0] as [string, string];
    if (isJson) await terminal.json({ ...named, ok: false, what });
    else await terminal.out(`${terminal.outColors.red("✗")} ${kind === "id" ? "" : `${kind} `}${name} ${what}`);
  }
}

const STRAY = {
  gone: "is named by the lists, and is not there: it was removed by something else than its retention",
  unlisted: "is there, and no list names it: somebody hid it",
} as const;

async function tellTotals(terminal: Terminal, totals: Totals, isJson: boolean): Promise<void> {
  if (isJson) return terminal.json({ summary: totals });
  const { green, red } = terminal.outColors;
  const { instances, entries, broken } = totals;
  if (broken === 0)
    await terminal.out(
      green(
        `✓ ${count(instances, "instance", "instances")}, ${count(entries, "entry", "entries")}: every trail leads to its checkpoint, every id to its birth, and every policy version to its text.`,
      ),
    );
  else
    await terminal.out(
      red(`${broken} of ${instances} do not hold. Keep the store as it is until you know who wrote to it.`),
    );
}
