import type { StoreOptions } from "./with-namespace.ts";

/**
 * The options that name a namespace of a store, to be copied behind another command. Without the password: it would
 * stay on the screen.
 */
export function storeArguments({ store = "", namespace, server, tokenFile }: StoreOptions): string {
  if (server !== undefined) return `--server ${server}${tokenFile === undefined ? "" : ` --token-file ${tokenFile}`}`;
  return `--store ${store.replace(/\/\/[^@/]*@/, "//")} --namespace ${namespace}`;
}
