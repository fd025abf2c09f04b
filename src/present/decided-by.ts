/** The process that decided a step, for people and for other programs. */

type Step = { readonly process?: string | undefined };

/** By id, what processes were called; those are missing whose names are no longer kept. */
type Names = ReadonlyMap<string, string>;

export type DecidedByJson = { readonly process: string; readonly name: string | null };

/** null: it is not recorded, as in virtual time, or by an earlier version. */
export function decidedByJson(step: Step | undefined, names: Names): DecidedByJson | null {
  if (step?.process === undefined) return null;
  return { process: step.process, name: names.get(step.process) ?? null };
}

/** Its name, or its id if the name is no longer kept. The empty text: it is not recorded. */
export function decidedByText(step: Step | undefined, names: Names): string {
  return step?.process === undefined ? "" : (names.get(step.process) ?? step.process);
}
