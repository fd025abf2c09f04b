import { hash } from "node:crypto";

/** sha256 of a text's UTF-8 bytes, in one shot: half the cost of createHash. */
export function sha256(text: string, encoding: "hex" | "base64url"): string {
  return hash("sha256", text, encoding);
}
