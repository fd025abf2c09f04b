/** `becalm approve` and `becalm deny`: a human's answer for one instance, or for all that a group holds. */
import type { Instance } from "../instance/checkpoint.ts";
import { policyKey } from "../policy/policy-versions.ts";
import type { Sentence } from "../present/sentences.ts";
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
    done: (changed, instances) =>
      event === "approval.granted"
        ? grantText(changed, instances)
        : { en: "The approval was denied", zh: "审批已拒绝" },
    policyOf: async (instances: InstanceReader, { id, group }) =>
      id === undefined ? policyOfGroup(group ?? "") : (await instances.instance(id)).policy,
    commit: (instances: InstanceService, { id, group = "" }) =>
      instances.answer(id === undefined ? { group } : { id }, input),
  });
}

/** Where several people must agree, a grant may only have been counted. */
function grantText(changed: readonly Instance[], { runtime }: InstanceReader): Sentence {
  const missing = changed.map(({ policy, policyVersion, snapshot: { state, context } }) => {
    const quorum =
      runtime.versions.get(policyKey({ name: policy, version: policyVersion }))?.policy.approval.quorum ?? 1;
    return state === "Waiting" ? quorum - context.grants.length : 0;
  });
  const most = Math.max(0, ...missing);
  if (most === 0) return { en: "The approval was granted", zh: "审批已通过" };
  const people = most === 1 ? "1 more person" : `${most} more people`;
  return { en: `The grant was counted; the approval needs ${people}`, zh: `已记录此次批准，还需 ${most} 人批准` };
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
