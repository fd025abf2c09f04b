import type { Engine } from "../../engine.ts";
import type { CompiledPolicy } from "../../policy/policy-versions.ts";
import type { InstanceReader } from "../../runtime/instance-reader.ts";
import type { BodyReader } from "../http/request-body.ts";

export type InstancePorts = {
  readonly engine: Engine;
  /** Looks into the engine's store, and reads what it is asked for and nothing else. */
  readonly reader: () => Promise<InstanceReader>;
  readonly policies: () => readonly CompiledPolicy[];
  readonly bodies: BodyReader;
  readonly now: () => number;
};
