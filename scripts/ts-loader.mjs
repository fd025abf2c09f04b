// node --import ./scripts/ts-loader.mjs file.ts: strips the types of each .ts file as it is loaded. Files stay where
// they are, so import.meta.url, profiles and stack traces name the sources. (Node strips types by itself from 22.18
// on.)
import { register } from "node:module";

register("./ts-hooks.mjs", import.meta.url);
