/** What Alertmanager makes of a posted silence: an edit in place, or a new one that ends the old one. Pure. */
import { type Matcher, matchesEmptyText } from "../../policy/matcher.ts";
import { compileRegex } from "../../policy/matcher-regex.ts";
import { regexMistake } from "./alert-filter.ts";
import { jsonMistake, jsonType, quoted, timeMistake } from "./go-text.ts";
import { readTime } from "./posted-alerts.ts";
import { invalidBody, ProtocolRefusal, refusedText, required, TOO_FEW_ITEMS, unreadable } from "./protocol-refusal.ts";

export type ShownSilence = {
  readonly id: string;
  readonly match: readonly Matcher[];
  readonly fromMs: number;
  readonly toMs: number;
  readonly author: string;
  readonly comment: string;
  readonly updatedAtMs: number;
  /** Only the policy file changes it. */
  readonly isOfFile?: true;
};

/** `id` null: a new one. */
export type PostedSilence = Omit<ShownSilence, "id" | "updatedAtMs" | "isOfFile"> & { readonly id: string | null };

export type SilenceState = "active" | "pending" | "expired";

export function silenceState({ fromMs, toMs }: Pick<ShownSilence, "fromMs" | "toMs">, nowMs: number): SilenceState {
  if (nowMs >= toMs) return "expired";
  return nowMs < fromMs ? "pending" : "active";
}

type RawObject = Readonly<Record<string, unknown>>;

/** Reads the body of `POST /api/v2/silences`. Throws a ProtocolRefusal with Alertmanager's text. */
export function readPostedSilence(text: string, nowMs: number): PostedSilence {
  if (text.trim() === "") throw required("silence");
  const raw = parse(text);
  const match = readMatchers(raw.matchers);
  const author = readText(raw, "createdBy");
  const comment = readText(raw, "comment");
  const fromMs = readInstant(raw.startsAt);
  const toMs = readInstant(raw.endsAt);
  const id = readText(raw, "id");
  requireComplete(raw, { fromMs, toMs });
  const silence = {
    id: id === undefined || id === "" ? null : id,
    match: match as Matcher[],
    author: author as string,
    comment: comment as string,
    fromMs: fromMs as number,
    toMs: toMs as number,
  };
  requireTimes(silence, nowMs);
  return silence;
}

function parse(text: string): RawObject {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    throw unreadable("silence", jsonMistake(text));
  }
  if (body === null) throw required("silence");
  if (typeof body === "object" && !Array.isArray(body)) return body as RawObject;
  throw unreadable("silence", `json: cannot unmarshal ${jsonType(body)} into Go value of type models.PostableSilence`);
}

function readText(raw: RawObject, name: string): string | undefined {
  const value = raw[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "string") return value;
  throw unreadable(
    "silence",
    `json: cannot unmarshal ${jsonType(value)} into Go struct field PostableSilence.${name} of type string`,
  );
}

function readInstant(raw: unknown): number | undefined {
  if (raw === undefined || raw === null) return undefined;
  if (typeof raw !== "string") throw unreadable("silence", timeMistake(JSON.stringify(raw)));
  try {
    return readTime(raw) ?? 0;
  } catch {
    throw unreadable("silence", timeMistake(raw));
  }
}

function readMatchers(raw: unknown): Matcher[] | undefined {
  if (raw === undefined || raw === null) return undefined;
  if (!Array.isArray(raw))
    throw unreadable(
      "silence",
      `json: cannot unmarshal ${jsonType(raw)} into Go struct field Silence.matchers of type models.Matchers`,
    );
  return raw.map((item: unknown) => readMatcher(item));
}

function readMatcher(item: unknown): Matcher {
  if (typeof item !== "object" || item === null || Array.isArray(item))
    throw unreadable(
      "silence",
      `json: cannot unmarshal ${jsonType(item)} into Go struct field Silence.matchers of type models.Matcher`,
    );
  const { name, value, isRegex, isEqual = true } = item as RawObject;
  const operator = isRegex === true ? (isEqual === false ? "!~" : "=~") : isEqual === false ? "!=" : "=";
  return { name: typeof name === "string" ? name : "", operator, value: typeof value === "string" ? value : "" };
}

/** The order in which Alertmanager's schema looks. */
function requireComplete(raw: RawObject, times: { fromMs: number | undefined; toMs: number | undefined }): void {
  if (raw.comment === undefined || raw.comment === null) throw required("comment");
  if (raw.createdBy === undefined || raw.createdBy === null) throw required("createdBy");
  if (times.toMs === undefined) throw required("endsAt");
  if (raw.matchers === undefined || raw.matchers === null) throw required("matchers");
  const matchers = raw.matchers as readonly RawObject[];
  if (matchers.length === 0) throw invalidBody(TOO_FEW_ITEMS, "matchers in body should have at least 1 items");
  for (const [index, matcher] of matchers.entries()) {
    for (const name of ["isRegex", "name", "value"] as const)
      if (matcher[name] === undefined || matcher[name] === null) throw required(`matchers.${index}.${name}`);
    const wrong = [
      ["isRegex", "boolean"],
      ["name", "string"],
      ["value", "string"],
    ].find(([name = "", type]) => typeof matcher[name] !== type);
    if (wrong !== undefined)
      throw unreadable(
        "silence",
        `json: cannot unmarshal ${jsonType(matcher[wrong[0] as string])} into Go struct field Matcher.${wrong[0]} of type ${wrong[1] === "boolean" ? "bool" : wrong[1]}`,
      );
  }
  if (times.fromMs === undefined) throw required("startsAt");
}

function requireTimes({ fromMs, toMs }: PostedSilence, nowMs: number): void {
  if (fromMs >= toMs) throw refusedText(400, "Failed to create silence: start time must be before end time");
  if (toMs < nowMs) throw refusedText(400, "Failed to create silence: end time can't be in the past");
}

function requireMatchers(match: readonly Matcher[]): void {
  for (const [index, { name, operator, value }] of match.entries()) {
    const why = (text: string) => refusedText(400, `silence invalid: invalid label matcher ${index}: ${text}`);
    if (name === "") throw why(`invalid label name ${quoted(name)}`);
    if (operator === "=" || operator === "!=") continue;
    try {
      compileRegex(value);
    } catch {
      throw why(`invalid regular expression ${quoted(value)}: ${regexMistake(value)}`);
    }
  }
  if (match.every(matchesEmptyText))
    throw refusedText(400, "silence invalid: at least one matcher must not match the empty string");
}

/** What to write for a posted silence. `expire`: the one that the new one takes the place of. */
export type SilenceChange = { readonly silence: ShownSilence; readonly expire: ShownSilence | null };

export function changeFor(
  posted: PostedSilence,
  before: ShownSilence | null,
  { nowMs, newId }: { nowMs: number; newId: () => string },
): SilenceChange {
  if (posted.id !== null && before === null) throw refusedText(404, "silence not found");
  const canEdit = before !== null && isEdit(before, posted, nowMs);
  requireMatchers(posted.match);
  if (canEdit) return { silence: { ...posted, id: before.id, updatedAtMs: nowMs }, expire: null };
  const isOver = before === null || silenceState(before, nowMs) === "expired";
  return {
    silence: { ...posted, id: newId(), fromMs: Math.max(posted.fromMs, nowMs), updatedAtMs: nowMs },
    expire: isOver ? null : before,
  };
}

function isEdit(before: ShownSilence, posted: PostedSilence, nowMs: number): boolean {
  if (!isSameMatch(before.match, posted.match)) return false;
  const state = silenceState(before, nowMs);
  if (state === "active") return Math.floor(before.fromMs / 1000) === Math.floor(posted.fromMs / 1000);
  return state === "pending" && posted.fromMs >= nowMs;
}

function isSameMatch(a: readonly Matcher[], b: readonly Matcher[]): boolean {
  return a.length === b.length && a.every((matcher, index) => textOf(matcher) === textOf(b[index] as Matcher));
}

function textOf({ name, operator, value }: Matcher): string {
  return JSON.stringify([name, operator, value]);
}

/** Active ones by their end, then those that will begin, then those that are over, the latest end first. */
export function inOrder(silences: readonly ShownSilence[], nowMs: number): ShownSilence[] {
  const of = (state: SilenceState) => silences.filter((silence) => silenceState(silence, nowMs) === state);
  return [
    ...of("active").sort((a, b) => a.toMs - b.toMs),
    ...of("pending").sort((a, b) => a.fromMs - b.fromMs),
    ...of("expired").sort((a, b) => b.toMs - a.toMs),
  ];
}

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;

export function requireUuid(id: string): void {
  if (UUID.test(id)) return;
  throw new ProtocolRefusal(422, { code: 601, message: `silenceID in path must be of type uuid: ${quoted(id)}` });
}

export function silenceJson(silence: ShownSilence, nowMs: number): object {
  const { id, match, fromMs, toMs, author, comment, updatedAtMs } = silence;
  return {
    id,
    status: { state: silenceState(silence, nowMs) },
    updatedAt: new Date(updatedAtMs).toISOString(),
    comment,
    createdBy: author,
    endsAt: new Date(toMs).toISOString(),
    matchers: match.map(({ name, operator, value }) => ({
      isEqual: operator === "=" || operator === "=~",
      isRegex: operator === "=~" || operator === "!~",
      name,
      value,
    })),
    startsAt: new Date(fromMs).toISOString(),
  };
}
