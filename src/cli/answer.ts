/** `becalm approve` and `becalm deny`: a human's answer for one instance, or for all that a group holds. */
import type { InstanceReader } from "../runtime/instance-reader.ts";
import type { InstanceService } from "../runtime/instance-service.ts";
import { type ActOptions, act } from "./act.ts";
import { usedWrongly } from "./exit-codes.ts";
import { requireWho } from "./send.ts";
import type { Terminal } from "./terminal.ts";

export type AnswerOptions = ActOptions & {
  readonly command: "approve" | "deny";
  readonly event: "approval.granted" | "approval.denied";
  readonly id?: string | undefined;
  readonly group?: string;
};

export async function answer(terminal: Terminal, options: AnswerOptions): Promise<number> {
  const { command, event } = options;
  requireTarget(options);
  const input = { type: event, ...requireWho(options) };
  return act(terminal, options, {
    command,
    done:
      event === "approval.granted"
        ? { en: "The approval was granted", zh: "审批已通过" }
        : { en: "The approval was denied", zh: "审批已拒绝" },
    policyOf: async (instances: InstanceReader, { id, group }) =>
      id === undefined ? policyOfGroup(group ?? "") : (await instances.instance(id)).policy,
    commit: (instances: InstanceService, { id, group = "" }) =>
      instances.answer(id === undefined ? { group } : { id }, input),
  });
}

function requireTarget({ id, group, command }: AnswerOptions): void {
  if (id !== undefined && group !== undefined) throw usedWrongly("Give an id or --group, not both.");
  if ((id ?? group ?? "") !== "") return;
  throw usedWrongly(
    `Say what to ${command}: \`becalm ${command} ID\` or \`becalm ${command} --group G\`. \`becalm ls --state Waiting\` shows who waits.`,
  );
}

/** A group's id is its policy's name and the dimension key. */
function policyOfGroup(group: string): string {
  return group.slice(0, Math.max(group.indexOf(":!sha1#"), 0));
}
