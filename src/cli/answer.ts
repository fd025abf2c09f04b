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
  const target = targetOf(options);
  const input = { type: event, ...requireWho(options) };
  return act(terminal, options, {
    command,
    done:
      event === "approval.granted"
        ? { en: "The approval was granted", zh: "审批已通过" }
        : { en: "The approval was denied", zh: "审批已拒绝" },
    policyOf: async (instances: InstanceReader) =>
      "group" in target ? policyOfGroup(target.group) : (await instances.instance(target.id)).policy,
    commit: (instances: InstanceService) => instances.answer(target, input),
  });
}

function targetOf({ id, group, command }: AnswerOptions): { id: string } | { group: string } {
  if (id !== undefined && group !== undefined) throw usedWrongly("Give an id or --group, not both.");
  if (id !== undefined && id !== "") return { id };
  if (group !== undefined && group !== "") return { group };
  throw usedWrongly(
    `Say what to ${command}: \`becalm ${command} ID\` or \`becalm ${command} --group G\`. \`becalm ls --state Waiting\` shows who waits.`,
  );
}

/** A group's id is its policy's name and the dimension key. */
function policyOfGroup(group: string): string {
  return group.slice(0, Math.max(group.indexOf(":!sha1#"), 0));
}
