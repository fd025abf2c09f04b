/** One instance as a bundle, as `becalm export` writes it: to be verified and replayed where there is no store. */
import { birthOf } from "../../instance/audit.ts";
import { policyKey } from "../../policy/policy-versions.ts";
import type { InstanceReader } from "../../runtime/instance-reader.ts";
import { BundleWriter } from "../../simulate/bundle.ts";
import { UnwrittenNames, withEnds } from "../../simulate/stored-bundle.ts";
import type { PolicyRecord } from "../../stores/store.ts";

/** The bundle's header names where it comes from. */
const NAMESPACE = "becalm serve";

type BundleRequest = {
  readonly nowMs: number;
  /** What the reader of the bundle may see of a policy. */
  readonly shown: (record: PolicyRecord) => PolicyRecord;
};

export async function instanceBundle(
  reader: InstanceReader,
  id: string,
  { nowMs, shown }: BundleRequest,
): Promise<string> {
  const { value, version } = await reader.stored(id);
  const lines = await reader.lines(id);
  const birth = birthOf(id, lines);
  const key = policyKey({ name: birth.policy, version: birth.policyVersion });
  const policy = (await reader.runtime.store.policies()).find((record) => record.key === key);
  const named = await new UnwrittenNames(reader).with({ id, version, checkpoint: value, lines });
  const whole = await withEnds(reader, [named], nowMs);
  const bundle = new BundleWriter([]);
  const written = [
    bundle.header({ namespace: NAMESPACE, exportedAtMs: nowMs, partitions: reader.runtime.partitions }),
    ...(policy === undefined ? [] : [bundle.policy({ policy: key, value: shown(policy).value })]),
    ...whole.map((one) => bundle.instance(one)),
    bundle.end(),
  ];
  return written.map((line) => `${line}\n`).join("");
}
