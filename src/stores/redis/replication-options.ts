import { invalid } from "../store-rules.ts";

/** `timeoutMs`: how long a commit waits for them, default 1 s. */
export type ReplicationOptions = { readonly replicas: number; readonly timeoutMs?: number };

const TIMEOUT_MS_DEFAULT = 1_000;
const TIMEOUT_MS_MAX = 60_000;
const REPLICA_COUNT_MAX = 16;

/** Checks what a program or a URL asks for. Throws BECALM_ARGUMENT_INVALID. */
export function requireReplication(options: ReplicationOptions): Required<ReplicationOptions> {
  const { replicas, timeoutMs = TIMEOUT_MS_DEFAULT } = options;
  if (!Number.isInteger(replicas) || replicas < 1 || replicas > REPLICA_COUNT_MAX)
    throw invalid(`Commits cannot wait for ${replicas} replicas. Use a whole number from 1 to ${REPLICA_COUNT_MAX}.`);
  if (!Number.isInteger(timeoutMs) || timeoutMs < 1 || timeoutMs > TIMEOUT_MS_MAX)
    throw invalid(`Commits cannot wait ${timeoutMs} ms for replicas. Use a whole number from 1 to ${TIMEOUT_MS_MAX}.`);
  return { replicas, timeoutMs };
}
