/** Texts that carry a proof of where they come from: `payload.signature`, both in the letters of a URL. */
import { createHmac, timingSafeEqual } from "node:crypto";
import { BecalmError } from "../model/errors.ts";

/** Shorter ones could be guessed. */
const SECRET_CHARS_MIN = 16;

/**
 * Signs with the first secret and accepts all of them, so that a secret can be renewed while texts of the old one are
 * out. `purpose` is part of the signature: a text that was signed for one purpose is worth nothing for another.
 */
export class Signer {
  readonly #keys: readonly Buffer[];

  /** @throws BECALM_ARGUMENT_INVALID if there is no secret, or one is too short; the message repeats none of them */
  constructor(secrets: readonly string[]) {
    if (secrets.length === 0 || secrets.some((secret) => secret.length < SECRET_CHARS_MIN)) {
      const text = `A secret that signs links needs at least ${SECRET_CHARS_MIN} characters, such as \`openssl rand -hex 32\` prints.`;
      throw new BecalmError("BECALM_ARGUMENT_INVALID", text);
    }
    this.#keys = secrets.map((secret) => Buffer.from(secret));
  }

  sign(purpose: string, payload: object): string {
    const text = Buffer.from(JSON.stringify(payload)).toString("base64url");
    return `${text}.${signature(this.#keys[0] as Buffer, purpose, text).toString("base64url")}`;
  }

  /** The payload, or null if the text was not signed here for this purpose. */
  open(purpose: string, signed: string): unknown {
    const [, text, given] = /^([\w-]{1,8192})\.([\w-]{43})$/.exec(signed) ?? [];
    if (text === undefined || given === undefined) return null;
    const bytes = Buffer.from(given, "base64url");
    const isOurs = this.#keys.map((key) => timingSafeEqual(signature(key, purpose, text), bytes)).includes(true);
    return isOurs ? (JSON.parse(Buffer.from(text, "base64url").toString("utf8")) as unknown) : null;
  }
}

function signature(key: Buffer, purpose: string, text: string): Buffer {
  return createHmac("sha256", key).update(`${purpose}\n${text}`).digest();
}
