/** A command opens a store, or asks a server. What the command line says is stronger than the environment. */
import type { Options } from "./add-command.ts";
import { usedWrongly } from "./exit-codes.ts";

/**
 * The options of one place: a `--store` that was typed is not replaced by BECALM_SERVER, or a command would answer in
 * another place than the one named. `isTyped` says of an option whether the command line gives it.
 * @throws BECALM_ARGUMENT_INVALID if two places were typed, or a namespace for a server, which has its own
 */
export function storeOrServer(options: Options, isTyped: (option: string) => boolean): Options {
  const { server } = options;
  if (typeof server !== "string" || server === "") return options;
  if (isTyped("store")) {
    if (isTyped("server")) throw usedWrongly("Give --store or --server, not both: a server answers for its own store.");
    return { ...options, server: undefined };
  }
  if (isTyped("namespace"))
    throw usedWrongly(
      `--namespace is for a store, and ${server} answers for its own namespace. Leave it out, or give --store.`,
    );
  return options;
}
