import { type ChildProcess, spawn } from "node:child_process";
import { messageOf } from "../model/errors.ts";
import { EFFECT_RESULT_BYTES_MAX, EXEC_DRAIN_MS, EXEC_KILL_DELAY_MS } from "../model/limits.ts";
import type { Action } from "../policy/policy.ts";
import { BoundedText } from "./bounded-text.ts";
import { startDeadline } from "./deadline.ts";
import { type EffectMessage, effectMessage, proofsIn } from "./effect-message.ts";
import type { EffectRequest, EffectResult } from "./effect-port.ts";
import { ProgramEnd } from "./program-end.ts";
import { withoutSecrets } from "./secrets.ts";
import type { SignedUrls } from "./signed-urls.ts";

type ExecAction = Action & { kind: "exec" };

/** How a program ended, as the audit keeps it. */
export type ExecResult = {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: string | null;
  readonly stdout: string;
  readonly stderr: string;
};

export type ExecOptions = {
  /** From SIGTERM to SIGKILL. */
  readonly killDelayMs?: number;
  readonly urls?: SignedUrls;
};

/** Starts a program with its arguments as they stand: no shell reads them. Exit code 0 is success. */
export async function runExec(
  request: EffectRequest,
  action: ExecAction,
  options: ExecOptions = {},
): Promise<EffectResult> {
  const program = JSON.stringify(action.command[0] ?? "");
  const deadline = startDeadline(request.signal, action.timeoutMs);
  try {
    const child = launch(request, action);
    const delays = { killDelayMs: options.killDelayMs ?? EXEC_KILL_DELAY_MS, drainMs: EXEC_DRAIN_MS };
    // First of all: it takes the child's error event, which nobody else does.
    const ending = new ProgramEnd(child, delays).wait(deadline.signal);
    const stdout = keepStart(child.stdout);
    const stderr = keepStart(child.stderr);
    const message = effectMessage(request, options.urls ?? null);
    const proofs = proofsIn(message);
    tell(child, message);
    const { exitCode, signal, wasTerminated } = await ending;
    const printed = (text: BoundedText) => withoutSecrets(text.toString(), proofs);
    const result: ExecResult = { exitCode, signal, stdout: printed(stdout), stderr: printed(stderr) };
    if (wasTerminated) return { ok: false, error: `The program ${program} ${deadline.fired()} and was ended.`, result };
    if (exitCode === 0) return { ok: true, result };
    const how = exitCode === null ? `was ended by ${signal}` : `ended with exit code ${exitCode}`;
    return { ok: false, error: `The program ${program} ${how}; only 0 is success.`, result };
  } catch (error) {
    return { ok: false, error: startFailure(program, error) };
  } finally {
    deadline.release();
  }
}

/** `detached`: a process group of its own, so that a timeout reaches what the program started as well. */
function launch(request: EffectRequest, action: ExecAction): ChildProcess {
  const [program = "", ...args] = action.command;
  const env = {
    ...process.env,
    BECALM_EFFECT_ID: request.effectId,
    BECALM_INSTANCE: request.instance,
    BECALM_POLICY: request.policy,
    BECALM_ATTEMPT: String(request.attempt),
    BECALM_KIND: request.kind,
    ...(request.token === undefined ? {} : { BECALM_FENCING_TOKEN: String(request.token) }),
  };
  return spawn(program, args, { shell: false, detached: true, windowsHide: true, stdio: "pipe", env });
}

/**
 * Streams are missing when the system had no room for the program. Reads to the end, so that the program never waits
 * for a reader, and keeps the start.
 */
function keepStart(stream: NodeJS.ReadableStream | null): BoundedText {
  const text = new BoundedText(EFFECT_RESULT_BYTES_MAX);
  stream?.on("data", (chunk: Buffer) => text.add(chunk));
  stream?.on("error", () => text.breakOff());
  return text;
}

function tell(child: ChildProcess, message: EffectMessage): void {
  // A program may end, or close its input, without reading it (EPIPE): its exit code says what became of it.
  child.stdin?.on("error", () => {});
  child.stdin?.end(JSON.stringify(message));
}

function startFailure(program: string, error: unknown): string {
  const code = (error as { code?: unknown }).code;
  if (code === "ENOENT") {
    return `The program ${program} was not found, or the interpreter that its first line names. Give its full path in the policy's exec.command.`;
  }
  if (code === "EACCES") return `The program ${program} may not be executed: check its permissions.`;
  return `The program ${program} could not be started: ${messageOf(error)}.`;
}
