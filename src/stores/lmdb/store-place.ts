import { invalid } from "../store-rules.ts";

/** @throws BECALM_ARGUMENT_INVALID */
export function requireStorePath(path: string): void {
  if (typeof path === "string" && path !== "") return;
  throw invalid(`The path of an lmdb store is ${JSON.stringify(path)}. Give a folder.`);
}

/** @throws BECALM_ARGUMENT_INVALID */
export function requireNamespaceName(namespace: string): void {
  if (/^[A-Za-z0-9._-]{1,64}$/.test(namespace)) return;
  throw invalid(
    `The namespace ${JSON.stringify(namespace)} is not a valid name. Use 1 to 64 letters, digits, ".", "_" or "-".`,
  );
}
