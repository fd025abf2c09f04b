import { lmdbWorld } from "./lmdb-world.ts";
import { storeContract } from "./store-contract.ts";
import { storeProperties } from "./store-properties.ts";

storeContract("lmdb", async () => lmdbWorld());
storeProperties("lmdb", async () => lmdbWorld(), { runs: 30 });
