/**
 * `becalm audit verify`: every audit trail against the checkpoint that it must lead to, and what must move it against
 * what the store has.
 */

import { storedPolicyFault } from "../policy/policy.ts";
import { count } from "../present/text-table.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { type Against, againstText, withAgainst } from "./audit-against.ts";
import { readBundle } from "./bundle-file.ts";
import { episodeFaults } from "./episode-checks.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { groupFaults } from "./group-checks.ts";
import { hiddenInstances, stuckEffects } from "./loose-ends.ts";
import { Progress } from "./progress.ts";
import { SeenInstances } from "./seen-instances.ts";
import type { Terminal } from "./terminal.ts";
import { bundledFault, checkTrail, faultText, type TrailCheck, whole } from "./trail.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type AuditOptions = StoreOptions & {
  readonly what: string;
  readonly ids: readonly string[];
  readonly all: boolean;
  /** A bundle instead of a store. */
  readonly file?: string;
  /** Log files to compare with. */
  readonly against?: readonly string[];
  readonly json: boolean;
};

const PAGE_COUNT = 256;
const CHECKED_AT_ONCE = 64;
const LOGGED_AFTER_MS_MAX = 1_000;

type Totals = { instances: number; entries: number; broken: number };

export async function audit(terminal: Terminal, options: AuditOptions): Promise<number> {
  if (options.what !== "verify")
    throw usedWrongly(`There is no \`becalm audit ${options.what}\`. Did you mean \`becalm audit verify\`?`);
  if (options.all && options.ids.length > 0) throw usedWrongly("Give ids or --all, not both.");
  const { against: logs = [], file } = options;
  if (file !== undefined)
    return withAgainst({ logs, ids: options.ids, startedAtMs: null }, (against) =>
      verifyBundle(terminal, file, { ...options, against }),
    );
  return withReading(options, "audit verify", (instances, named) => {
    // Lines reach a log up to half a second after their commit. Nobody writes to a virtual namespace between its runs.
    const startedAtMs = instances.runtime.mode === "live" ? Date.now() - LOGGED_AFTER_MS_MAX : null;
    return withAgainst({ logs, ids: named.ids, startedAtMs }, (against) =>
      verifyStore(terminal, instances, { ...named, against }),
    );
  });
}

type Verifying = Omit<AuditOptions, "against"> & { readonly against: Against | null };

async function verifyStore(terminal: Terminal, instances: InstanceReader, options: Verifying): Promise<number> {
  const { against, ids, json: isJson } = options;
  const totals: Totals = { instances: 0, entries: 0, broken: 0 };
  const seen = new SeenInstances(instances.runtime.partitions);
  const context = { terminal, totals, isJson, against, seen };
  const progress = new Progress(terminal);
  for await (const some of ids.length > 0 ? [ids] : allIds(instances)) {
    for (let start = 0; start < some.length; start += CHECKED_AT_ONCE) {
      await verifySome(instances, some.slice(start, start + CHECKED_AT_ONCE), context);
      progress.update((seconds) => {
        const [{ instances: number, broken }, rate] = [totals, Math.round(totals.instances / seconds)];
        return terminal.say(
          `${number} instances, ${broken} broken, ${rate}/s`,
          `${number} 个实例，${broken} 个不通过，每秒 ${rate}`,
        );
      });
    }
  }
  progress.end();
  if (ids.length === 0) await reportNamespace(instances, { ...context, seen, isRemote: options.server !== undefined });
  return tellTotals(context);
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

type Context = {
  readonly terminal: Terminal;
  readonly totals: Totals;
  readonly isJson: boolean;
  readonly against: Against | null;
  readonly seen?: SeenInstances;
};

async function verifySome(instances: InstanceReader, ids: readonly string[], context: Context): Promise<void> {
  const checked = await Promise.all(ids.map(async (id) => ({ id, ...(await checkTrail(instances, id)) })));
  const episodes = await episodeFaults(
    instances.runtime,
    checked.flatMap(({ instance, lines, fault }) =>
      instance === undefined || fault !== null ? [] : { instance, lines },
    ),
  );
  for (const one of checked) await addTo({ ...one, fault: one.fault ?? whole(episodes.get(one.id) ?? null) }, context);
}

type Checked = TrailCheck & { readonly id: string };

async function addTo({ id, lines, fault, birthHash = null, instance }: Checked, context: Context): Promise<void> {
  const { terminal, totals, isJson, against } = context;
  totals.instances += 1;
  totals.entries += Math.max(lines.length - 1, 0);
  await against?.add(id, lines, birthHash);
  if (fault === null) {
    context.seen?.add({ id, lines, instance });
    return;
  }
  context.seen?.doubt({ id, lines, instance });
  totals.broken += 1;
  if (isJson) await terminal.json({ id, ok: false, line: fault.line, what: fault.what });
  else await terminal.out(`${terminal.outColors.red("✗")} ${id}: ${faultText(fault)}`);
}

/** Every line of the bundle, and in it every trail. */
async function verifyBundle(
  terminal: Terminal,
  file: string,
  { ids, json: isJson, against }: Verifying,
): Promise<number> {
  const totals: Totals = { instances: 0, entries: 0, broken: 0 };
  const context = { terminal, totals, isJson, against };
  const wanted = new Set(ids);
  const policies = new Set<string>();
  for await (const { instance, policyTexts } of readBundle(file)) {
    await addPolicies(policyTexts, policies, context);
    if (wanted.size > 0 && !wanted.has(instance.id)) continue;
    const { id, lines, birthHash = null } = instance;
    await addTo({ id, lines, fault: bundledFault(instance), birthHash }, context);
  }
  return tellTotals(context);
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
    else await terminal.out(`${terminal.outColors.red("✗")} ${terminal.say("policy", "策略")} ${policy} ${what}`);
  }
}

/** What a server shows in place of a secret. */
const HIDDEN = "[hidden]";

/**
 * What is wrong with the namespace as a whole: its policies, its lists, its outbox. `isRemote`: a server answers for
 * the store.
 */
async function reportNamespace(
  instances: InstanceReader,
  { terminal, totals, isJson, seen, isRemote }: Context & { readonly seen: SeenInstances; readonly isRemote: boolean },
): Promise<void> {
  const { store } = instances.runtime;
  const records = await store.policies();
  const shown = isRemote ? records.filter(({ value }) => !value.includes(HIDDEN)) : records;
  if (shown.length < records.length)
    terminal.note(
      terminal.say(
        `${records.length - shown.length} of ${records.length} policy versions have secrets that this token may not see: they were not checked. Use an admin's token, or --store.`,
        `${records.length} 个策略版本中有 ${records.length - shown.length} 个含有此令牌不可见的机密，未校验。请用 admin 令牌或 --store。`,
      ),
    );
  const policies = shown.map((record) => ({ policy: record.key, what: storedPolicyFault(record) }));
  const faults = [
    ...policies.flatMap(({ policy, what }) => (what === null ? [] : [{ policy, what }])),
    ...seen.missingPolicies(records),
    ...seen.misplaced,
    ...(await hiddenInstances(instances, seen.inStates)),
    ...(await groupFaults(instances, seen.groups)),
    ...(await store.strayInstances()).map(({ id, what }) => ({ id, what: STRAY[what] })),
    ...(await stuckEffects(instances)).map(({ id, what }) => ({ effect: id, what })),
  ];
  for (const { what, ...named } of faults) {
    totals.broken += 1;
    const [kind, name] = Object.entries(named)[0] as [string, string];
    if (isJson) await terminal.json({ ...named, ok: false, what });
    else
      await terminal.out(
        `${terminal.outColors.red("✗")} ${kind === "id" ? "" : `${terminal.say(kind, KINDS[kind] ?? kind)} `}${name} ${what}`,
      );
  }
}

const KINDS: Readonly<Record<string, string>> = { policy: "策略", group: "收敛组", effect: "动作" };

const STRAY = {
  gone: "is named by the lists, and is not there: it was removed by something else than its retention",
  unlisted: "is there, and no list names it: somebody hid it",
} as const;

async function tellTotals({ terminal, totals, isJson, against }: Context): Promise<number> {
  const compared = against === null ? null : await against.report({ terminal, isJson });
  const differing = compared === null ? 0 : compared.missingInLog + compared.missingInStore;
  const code = totals.broken + differing > 0 ? EXIT.failed : EXIT.done;
  if (isJson) {
    await terminal.json({ summary: compared === null ? totals : { ...totals, against: compared } });
    return code;
  }
  const { green, red } = terminal.outColors;
  const { instances, entries, broken } = totals;
  const { say } = terminal;
  if (compared !== null) for (const line of againstText(compared, say)) await terminal.out(line);
  if (broken === 0) {
    const all = `${count(instances, "instance", "instances")}, ${count(entries, "entry", "entries")}`;
    await terminal.out(
      green(
        say(
          `✓ ${all}: every trail leads to its checkpoint, every id to its birth, and every policy version to its text.`,
          `✓ ${instances} 个实例，${entries} 条审计记录：记录与检查点、标识与出生记录、策略版本与内容均一致。`,
        ),
      ),
    );
  } else
    await terminal.out(
      red(
        say(
          `${broken} of ${instances} do not hold. Keep the store as it is until you know who wrote to it.`,
          `${instances} 个中有 ${broken} 个校验不通过。查明是谁写入之前，请保持存储原样。`,
        ),
      ),
    );
  return code;
}
