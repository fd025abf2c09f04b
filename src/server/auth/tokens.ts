/** Who may do what: the tokens file, and the search for the token of a request. */
import { createHash, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import { BecalmError } from "../../model/errors.ts";
import { readFileOr, readSecretFile } from "./secret-file.ts";

/** Each role may do what those before it may. */
export const ROLES = ["read", "operate", "admin"] as const;

export type Role = (typeof ROLES)[number];

/** Who sent a request. `name` is null where no token names anybody. */
export type Caller = { readonly name: string | null; readonly role: Role };

/** On loopback without a tokens file everybody may do everything; nobody has a name. */
export const UNAUTHENTICATED: Caller = { name: null, role: "admin" };

export function mayActAs(caller: Caller, role: Role): boolean {
  return ROLES.indexOf(caller.role) >= ROLES.indexOf(role);
}

const SECRET = z.string().regex(/^[\x21-\x7e]+$/, "must be printable ASCII without spaces");

const ENTRY = z
  .strictObject({
    name: z.string().min(1, "must not be empty"),
    role: z.enum(ROLES),
    token: SECRET.optional(),
    token_file: z.string().min(1, "must not be empty").optional(),
  })
  .refine((entry) => (entry.token === undefined) !== (entry.token_file === undefined), {
    message: "needs either `token` or `token_file`",
  });

type Entry = z.infer<typeof ENTRY>;
type Known = { readonly caller: Caller; readonly digest: Buffer };

export class TokenBook {
  #known: readonly Known[];

  constructor(entries: readonly { caller: Caller; token: string }[]) {
    this.#known = entries.map(({ caller, token }) => ({ caller, digest: digestOf(token) }));
  }

  /** From now on it knows what `other` knows, and nothing else: a token that is missing there is worth nothing. */
  renew(other: TokenBook): void {
    this.#known = other.#known;
  }

  /** Compares with every token, and each in constant time: how long it takes says nothing about any of them. */
  callerOf(token: string): Caller | null {
    const digest = digestOf(token);
    let found: Caller | null = null;
    for (const known of this.#known) if (timingSafeEqual(known.digest, digest)) found = known.caller;
    return found;
  }
}

/** Digests have one length, so that they can be compared in constant time. */
function digestOf(token: string): Buffer {
  return createHash("sha256").update(token).digest();
}

/** Reads a tokens file. Throws BECALM_ARGUMENT_INVALID that lists all mistakes and repeats no token. */
export function readTokens(path: string): TokenBook {
  const mistakes: string[] = [];
  const raw = parse(path, readFileOr(path, "The tokens file"));
  const parsed = z.array(z.unknown()).min(1, "must not be empty").safeParse(raw);
  if (!parsed.success) throw invalid(path, ["the file must be a JSON array of { name, role, token | token_file }"]);
  const entries = parsed.data.flatMap((item, index) => {
    const entry = ENTRY.safeParse(item);
    if (entry.success) return [entry.data];
    for (const { path: at, message } of entry.error.issues)
      mistakes.push(`[${index}]${at.map((key) => `.${String(key)}`).join("")} ${message}`);
    return [];
  });
  const names = new Set<string>();
  for (const { name } of entries) {
    if (names.has(name)) mistakes.push(`the name ${JSON.stringify(name)} occurs twice`);
    names.add(name);
  }
  if (mistakes.length > 0) throw invalid(path, mistakes);
  return new TokenBook(
    entries.map((entry) => ({ caller: { name: entry.name, role: entry.role }, token: secretOf(entry) })),
  );
}

function secretOf({ name, token, token_file: tokenFile }: Entry): string {
  if (token !== undefined) return token;
  const path = tokenFile as string;
  const secret = SECRET.safeParse(readSecretFile(path, `The token_file of ${JSON.stringify(name)}`));
  if (secret.success) return secret.data;
  throw invalid(path, ["a token must be printable ASCII without spaces, and not empty"]);
}

function parse(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text, which holds secrets.
    throw invalid(path, ["it is not JSON"]);
  }
}

function invalid(path: string, mistakes: readonly string[]): BecalmError {
  return new BecalmError("BECALM_ARGUMENT_INVALID", `The tokens file ${path} is invalid: ${mistakes.join("; ")}.`, {
    details: { path, mistakes },
  });
}
