/** The target of all actions: a process that writes each delivery to its own log, flushed to the disk, before it answers. */
import { createHash } from "node:crypto";
import { fsyncSync, openSync, writeSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { TargetOptions } from "./target.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as TargetOptions;
const log = openSync(options.logPath, "a");

const server = createServer((request, response) => {
  const pieces: Buffer[] = [];
  request.on("data", (piece: Buffer) => pieces.push(piece));
  request.on("end", () => {
    const body = JSON.parse(Buffer.concat(pieces).toString()) as Record<string, unknown>;
    const key = String(request.headers["idempotency-key"]);
    const { instance, attempt, kind, alert } = body;
    const labels = (alert as { labels?: object } | null)?.labels ?? null;
    writeSync(log, `${JSON.stringify({ atMs: Date.now(), key, instance, attempt, kind, labels })}\n`);
    fsyncSync(log);
    // Depends on the key alone: what is delivered again gets the same answer.
    const chance = createHash("sha1").update(key).digest().readUInt32BE() / 2 ** 32;
    const isRefused = kind === "action" && chance < options.failures;
    setTimeout(() => response.writeHead(isRefused ? 500 : 200).end(), chance * options.delayMsMax);
  });
});
server.listen(0, "127.0.0.1", () => process.send?.({ port: (server.address() as AddressInfo).port }));
process.on("disconnect", () => process.exit(0));
