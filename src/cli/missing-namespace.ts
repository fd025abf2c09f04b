/** What a person is told who names a namespace that a store does not have. */
import { BecalmError } from "../model/errors.ts";

const NAMED_COUNT_MAX = 12;

/** `names`: what the store has; null: there is no store; undefined: nobody can say without reading all of it. */
export function missingNamespace(
  namespace: string,
  { store, names }: { readonly store: string | undefined; readonly names: readonly string[] | null | undefined },
): BecalmError {
  const text =
    names === null
      ? `There is no store at ${store}. Check the path; \`becalm run\` or an engine makes one.`
      : `The store has no namespace "${namespace}". ${known(names)}; \`becalm run\` or an engine makes one.`;
  return new BecalmError("BECALM_NOT_FOUND", text, { details: { namespace } });
}

function known(names: readonly string[] | undefined): string {
  if (names === undefined || names.length === 0) return "Check --store and --namespace";
  const more = names.length > NAMED_COUNT_MAX ? ", ..." : "";
  return `It has ${names.slice(0, NAMED_COUNT_MAX).join(", ")}${more}. Check --namespace`;
}
