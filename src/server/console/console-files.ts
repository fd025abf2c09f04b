/**
 * The console's own files: a page, its style and its program. Nothing of them comes from elsewhere, and the page may
 * load nothing from elsewhere.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { text } from "../http/replies.ts";
import type { Ctx, Route } from "../http/route.ts";

const FOLDER = new URL("../../console/", import.meta.url);

/** Path -> file and its type. */
const FILES = {
  "/": ["index.html", "text/html; charset=utf-8"],
  "/app.css": ["app.css", "text/css; charset=utf-8"],
  "/app.js": ["app.js", "text/javascript; charset=utf-8"],
} as const;

/** A chart is shown from memory (blob:), because an image cannot send a token. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' blob: data:",
  "connect-src 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
].join("; ");

const HEADERS = {
  "content-security-policy": POLICY,
  "x-content-type-options": "nosniff",
  "referrer-policy": "same-origin",
  "cache-control": "no-cache",
};

type File = { readonly body: Buffer; readonly type: string; readonly etag: string };

export function consoleFiles(): Route[] {
  return Object.entries(FILES).map(([path, [name, type]]) => {
    let file: File | null = null;
    return {
      method: "GET",
      path,
      role: "open",
      summary: path === "/" ? "The console: a page for people" : `The console's ${name}`,
      answers: { 200: { what: name, type: "text/html" } },
      handle: (c) => {
        file ??= read(name, type);
        return file === null ? notBuilt() : reply(c, file);
      },
    };
  });
}

/** null: the program runs from its sources, which hold no built console. */
function read(name: string, type: string): File | null {
  try {
    const body = readFileSync(fileURLToPath(new URL(name, FOLDER)));
    return { body, type, etag: `"${createHash("sha256").update(body).digest("base64url").slice(0, 22)}"` };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  }
}

function reply(c: Ctx, { body, type, etag }: File): Response {
  const headers = { ...HEADERS, "content-type": type, etag };
  if (c.req.header("if-none-match") === etag) return new Response(null, { status: 304, headers });
  return new Response(new Uint8Array(body), { headers });
}

function notBuilt(): Response {
  return text("The console is not built: run `npm run build`, and start the server from dist/.\n", 404);
}
