import type { StoreOptions } from "./with-namespace.ts";

/** The options that name a namespace of a store, to be copied behind another command. Without the password: it would stay on the screen. */
export function storeArguments({ store = "", namespace }: StoreOptions): string {
  return `--store ${store.replace(/\/\/[^@/]*@/, "//")} --namespace ${namespace}`;
}
