/** `becalm backup`: a copy of an lmdb store, made while its writer goes on. */
import { BecalmError } from "../model/errors.ts";
import { count } from "../present/text-table.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import type { Terminal } from "./terminal.ts";
import { unwritable } from "./unwritable-file.ts";
import { LMDB, type StoreOptions } from "./with-namespace.ts";

export type BackupOptions = Pick<StoreOptions, "store"> & { readonly target: string; readonly json: boolean };

export async function backup(terminal: Terminal, { store, target, json }: BackupOptions): Promise<number> {
  if (store?.startsWith(LMDB) !== true)
    throw usedWrongly(
      "`becalm backup` copies an lmdb store: give --store lmdb:PATH or set BECALM_STORE. A Redis server makes its own backups (BGSAVE).",
    );
  const { lmdbBackup } = await import("../stores/lmdb/lmdb-backup.ts");
  const { file, bytes, namespaces } = await lmdbBackup(store.slice(LMDB.length), target).catch((cause: unknown) => {
    throw cause instanceof BecalmError ? cause : unwritable(target, "place", cause);
  });
  if (json) await terminal.json({ file, bytes, namespaces });
  else {
    const { say } = terminal;
    const names = namespaces.join(", ") || say("none", "无");
    const look = `becalm ls --store ${LMDB}${target}`;
    await terminal.out(
      say(
        `${file}: ${count(bytes, "byte", "bytes")}, namespaces: ${names}`,
        `${file}：${bytes} 字节，命名空间：${names}`,
      ),
    );
    terminal.note(say(`It is a store like the one that it was copied from: ${look}`, `它与原存储一样可用：${look}`));
  }
  return EXIT.done;
}
