/** Becalm: durable, explainable action instances. Everything that other programs may rely on is named here. */

export type { EffectHandlerInput, EffectHandlers } from "./adapters/effects/effect-port.ts";
export { memoryDetectionStore } from "./adapters/memory/memory-detection-store.ts";
export { memoryStore } from "./adapters/memory/memory-store.ts";
export { redisDetectionStore } from "./adapters/redis/redis-detection-store.ts";
export { redisStore } from "./adapters/redis/redis-store.ts";
export type { Alert } from "./core/alert.ts";
export type { AuditEntry, Birth, History } from "./core/audit-types.ts";
export type { Instance } from "./core/checkpoint.ts";
export {
  type Counterfactual,
  type ExplainedVerdict,
  evaluateConvergence,
  type VerdictKind,
} from "./core/convergence.ts";
export type { ConvergenceFunction, ConvergenceRule, DimensionValue, Observation } from "./core/convergence-types.ts";
export { type Command, type DecideInput, type Decision, decide } from "./core/decide.ts";
export type { DetectedAlert, DetectionReason } from "./core/detection/detected-alert.ts";
export { STRATEGY_ITEM_ID, type Strategy } from "./core/detection/strategy.ts";
export { dimensionKey } from "./core/dimension-key.ts";
export { BecalmError, type ErrorCode, errorCode } from "./core/errors.ts";
export type { EventInput } from "./core/event-input.ts";
export { fingerprintOf } from "./core/fingerprint.ts";
export type { InstanceContext, InstanceEvent, InstancePolicy, InstanceState } from "./core/instance.ts";
export type { InstanceSnapshot } from "./core/instance-snapshot.ts";
export type { Policy, PolicySet, Silence } from "./core/policy.ts";
export { compilePolicy, type PolicyVersions } from "./core/policy-versions.ts";
export type { ReasonCode } from "./core/reasons.ts";
export { parseRecord } from "./core/records/record.ts";
export type { RecordQuery, Rejection, StateEvent } from "./core/records/record-types.ts";
export {
  createDetector,
  type Detector,
  type DetectorOptions,
  type NumberedAlert,
  type TakeOptions,
  type TakeResult,
} from "./detector.ts";
export {
  type AnswerTarget,
  createEngine,
  type Engine,
  type EngineOptions,
  type IngestResult,
  type InstancePage,
  type InstanceReference,
  type Who,
} from "./engine.ts";
export type { AlertInput } from "./formats/alert-input.ts";
export { loadPolicySet, type PolicyInput, parsePolicies } from "./formats/policy-file.ts";
export { loadStrategies } from "./formats/strategy-file.ts";
export { createInspectServer, type InspectServer, type InspectServerOptions } from "./inspect/inspect-server.ts";
export type { Inspect } from "./inspect/inspect-target.ts";
export type { InspectionObserver } from "./inspect/observer.ts";
export type { Clock } from "./ports/clock.ts";
export type { DetectionStore, SeriesLevel } from "./ports/detection-store.ts";
export type { DimensionLock } from "./ports/dimension-lock.ts";
export type { Logger } from "./ports/logger.ts";
export type { Store } from "./ports/store.ts";
export { type Replay, type ReplayedStep, replay } from "./replay/replay.ts";
export type { ListFilter } from "./runtime/session.ts";
