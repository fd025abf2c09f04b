/**
 * `becalm diff`: what would go another way under other policies. Simulates both sides; nothing outside is touched and
 * nothing is written.
 */
import { loadPolicySet } from "../formats/policy-file.ts";
import type { ReportSide } from "../simulate/diff.ts";
import { Gates } from "../simulate/diff-gates.ts";
import { readAssumptions } from "./assumptions.ts";
import { type Compared, compareSides, fileSides } from "./compared-sides.ts";
import { diffMarkdown, diffText } from "./diff-text.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { readText } from "./read-text.ts";
import { type RecordedOptions, recordedSides } from "./recorded-sides.ts";
import { shadowCompared } from "./shadow-diff.ts";
import { alertsOfFiles } from "./simulated-alerts.ts";
import type { Terminal } from "./terminal.ts";
import type { RunEffects } from "./with-namespace.ts";

export type DiffOptions = RecordedOptions & {
  readonly policies?: string;
  readonly against?: string;
  readonly alerts?: readonly string[];
  /** A server's candidate on what it decided, instead of policies of one's own. */
  readonly shadow: boolean;
  /** The history of the store, or of the bundle `from`, instead of files of alerts. */
  readonly fromStore: boolean;
  readonly assume?: readonly string[];
  readonly failIf?: readonly string[];
  readonly newlySkipped?: readonly string[];
  readonly newlyExecuted?: readonly string[];
  readonly limit: number;
  readonly sort: boolean;
  readonly markdown: boolean;
  readonly json: boolean;
};

export async function diff(terminal: Terminal, options: DiffOptions): Promise<number> {
  const { failIf = [], newlySkipped = [], newlyExecuted = [] } = options;
  if (options.json && options.markdown) throw usedWrongly("Give --json or --markdown, not both.");
  const gates = new Gates({ failIf, noNewlySkipped: newlySkipped, noNewlyExecuted: newlyExecuted });
  const hasGates = failIf.length + newlySkipped.length + newlyExecuted.length > 0;
  // A gate does not open because its output goes through `head`.
  if (hasGates) terminal.outlivesReader();
  const compared = options.shadow
    ? await shadowCompared(terminal, options, gates)
    : await comparedPolicies(terminal, options, gates);
  const failures = gates.failures(compared.summary);
  if (compared.summary.alerts === 0) terminal.note(terminal.noteColors.yellow(nothingTried(terminal)));
  const report = { ...compared, failures, hasGates };
  if (options.json) {
    await terminal.json({ summary: compared.summary });
    for (const failure of failures) terminal.note(terminal.noteColors.red(`✗ ${failure}`));
  } else if (options.markdown) for (const line of diffMarkdown(report, terminal.reader)) await terminal.out(line);
  else
    for (const line of diffText(report, { colors: terminal.outColors, reader: terminal.reader }))
      await terminal.out(line);
  return failures.length > 0 ? EXIT.failed : EXIT.done;
}

function nothingTried({ say }: Terminal): string {
  return say("Nothing was tried: there was no alert.", "没有告警，未做任何比较。");
}

async function comparedPolicies(terminal: Terminal, options: DiffOptions, gates: Gates): Promise<Compared> {
  const { policies } = options;
  if (policies === undefined)
    throw usedWrongly("Say which policies are new: --policies FILE; or --shadow for those beside a server's own.");
  requireOneSource(options);
  const sides = await sidesOf(terminal, { ...options, policies });
  return compareSides(terminal, options, { ...sides, gates });
}

function requireOneSource({ alerts = [], fromStore, from, against, since }: DiffOptions): void {
  const sources = [alerts.length > 0, fromStore, from !== undefined].filter(Boolean).length;
  if (sources === 0) throw usedWrongly("Say what to try them on: --alerts FILE..., --from-store, or --from BUNDLE.");
  if (sources > 1) throw usedWrongly("Give one of --alerts, --from-store and --from.");
  if (alerts.length === 0) return;
  if (against === undefined) throw usedWrongly("Say what the new policies are compared with: --against FILE.");
  if (since !== undefined)
    throw usedWrongly("--since is for --from-store and --from: a file of alerts is taken whole.");
}

async function sidesOf(
  terminal: Terminal,
  options: DiffOptions & { readonly policies: string },
): Promise<{ was: ReportSide; now: ReportSide }> {
  const { policies, against, alerts = [] } = options;
  const now = loadPolicySet(await readText(policies), { file: policies });
  const was = against === undefined ? null : loadPolicySet(await readText(against), { file: against });
  const names = [...(was?.policies ?? []), ...now.policies].map(({ name }) => name);
  const effects: RunEffects = { kind: "simulated", assumptions: readAssumptions(options.assume ?? [], names) };
  if (was === null || alerts.length === 0) return recordedSides(terminal, options, { was, now, effects });
  const source = alertsOfFiles(alerts, options.sort);
  const files = { was: { set: was, label: against as string }, now: { set: now, label: policies } };
  return fileSides(terminal, { ...files, effects, source });
}
