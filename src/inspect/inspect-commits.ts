/** Who watches an engine's instances hears of its commits. */

import { InstanceReader } from "../runtime/instance-reader.ts";
import type { CommitListener, Runtime } from "../runtime/runtime.ts";
import { type Inspect, inspectTarget } from "./inspect-target.ts";
import { pendingDecision } from "./inspected.ts";
import { groupReader, instanceSource } from "./instance-source.ts";

export function inspectionOf(
  runtime: Runtime,
  { inspect, onFault }: { readonly inspect: Inspect | undefined; readonly onFault: (error: unknown) => void },
): { readonly onCommit: readonly CommitListener[]; readonly detach: () => void } {
  if (inspect === undefined) return { onCommit: [], detach: () => {} };
  const target = inspectTarget(inspect, onFault);
  const feed = target.attach(instanceSource(new InstanceReader(runtime)));
  const groupOf = groupReader(runtime);
  const listener: CommitListener = (decision) => target.isWatched && feed.committed(pendingDecision(decision, groupOf));
  return { onCommit: [listener], detach: () => feed.detach() };
}
