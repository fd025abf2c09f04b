import { compileFilters, compileReceiver, flag, parseFilters } from "./alert-filter.ts";

export type AlertQuery = {
  readonly active: boolean;
  readonly silenced: boolean;
  readonly takesLabels: (labels: Readonly<Record<string, string>>) => boolean;
  /** null: every alert, also one that no policy matches. */
  readonly receiver: ((name: string) => boolean) | null;
};

export function readAlertQuery(query: URLSearchParams): AlertQuery {
  const takesLabels = compileFilters(parseFilters(query.getAll("filter")));
  const receiver = query.getAll("receiver").at(-1) ?? null;
  return {
    active: flag(query, "active"),
    silenced: flag(query, "silenced"),
    takesLabels,
    receiver: receiver === null || receiver === "" ? null : compileReceiver(receiver),
  };
}
