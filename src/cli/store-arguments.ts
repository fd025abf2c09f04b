import { BUNDLE } from "./bundles-at.ts";
import type { StoreOptions } from "./with-namespace.ts";

/**
 * The options that name a namespace of a store, to be copied behind another command. Without the password: it would
 * stay on the screen. A bundle cannot be acted upon: who wants to must name the store that it came from.
 */
export function storeArguments({ store = "", namespace, server, tokenFile }: StoreOptions): string {
  if (server !== undefined) return `--server ${server}${tokenFile === undefined ? "" : ` --token-file ${tokenFile}`}`;
  if (store.startsWith(BUNDLE)) return "--store STORE --namespace NAME";
  return `--store ${store.replace(/\/\/[^@/]*@/, "//")} --namespace ${namespace}`;
}
