import type { Engine } from "../../engine.ts";
import type { CompiledPolicy } from "../../policy/policy-versions.ts";
import type { BodyReader } from "../http/request-body.ts";

export type InstancePorts = {
  readonly engine: Engine;
  readonly policies: () => readonly CompiledPolicy[];
  readonly bodies: BodyReader;
  readonly now: () => number;
};
