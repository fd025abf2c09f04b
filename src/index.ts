/** Becalm: durable, explainable action instances. Everything that other programs may rely on is named here. */

export {
  cleanEvent,
  compilePolicy,
  decide,
  dimensionKey,
  evaluateConvergence,
  explain,
  fingerprintOf,
  parseRecord,
  replay,
} from "./checked-calls.ts";
export type { CommittedStep } from "./committed-steps.ts";
export type { Counterfactual, ExplainedVerdict, VerdictKind } from "./convergence/convergence.ts";
export {
  CHECKPOINT_KEY_NAMES,
  type CheckpointKeyName,
  type CheckpointKeys,
  type KeyConfig,
  type KeyDefinition,
  type KeyOverride,
  registerKeysWithConfig,
  TTL_NOT_SET,
} from "./detection/core/checkpoint-keys.ts";
export type { DetectedAlert, DetectionReason } from "./detection/core/detected-alert.ts";
export { STRATEGY_ITEM_ID, type Strategy } from "./detection/core/strategy.ts";
export type { Enrichment } from "./detection/core/strategy-group.ts";
export type { DetectionStore, SeriesLevel } from "./detection/detection-store.ts";
export type { RecordQuery, Rejection, StateEvent } from "./detection/records/record-types.ts";
export {
  createDetector,
  type Detector,
  type DetectorOptions,
  type NumberedAlert,
  type TakeOptions,
  type TakeResult,
} from "./detector.ts";
export type { EffectResult } from "./effects/effect-port.ts";
export type { EffectHandlerInput, EffectHandlers } from "./effects/local-effects.ts";
export type { ApprovalAbout, ApprovalLinks, SignedUrls } from "./effects/signed-urls.ts";
export {
  type AnswerTarget,
  createEngine,
  type DeadLetter,
  type Engine,
  type EngineOptions,
  type EngineStatus,
  type IngestResult,
  type InstancePage,
  type InstanceReference,
  type PauseNote,
  type PauseRequest,
  type Resumed,
  type ResumeRequest,
  type ShadowReport,
  type ShadowRequest,
  type ShadowStatus,
  type SilenceRequest,
  type StoredSilence,
  type Who,
} from "./engine.ts";
export type { ExplainedSnapshot, WatchedSnapshot } from "./explained-snapshot.ts";
export type { AlertInput } from "./formats/alert-input.ts";
export type { IngestInput, WebhookBody } from "./formats/ingest-input.ts";
export type {
  ActionDocument,
  ConvergeDocument,
  DurationText,
  PolicyDocument,
  PolicyFileDocument,
  SilenceDocument,
} from "./formats/policy-document.ts";
export { loadPolicySet, type PolicyInput, parsePolicies } from "./formats/policy-file.ts";
export { loadStrategies } from "./formats/strategy-file.ts";
export { createInspectServer, type InspectServer, type InspectServerOptions } from "./inspect/inspect-server.ts";
export type { Inspect } from "./inspect/inspect-target.ts";
export type { InspectionObserver } from "./inspect/observer.ts";
export type { AuditEntry, Birth, History } from "./instance/audit-types.ts";
export type { Instance } from "./instance/checkpoint.ts";
export type { Command, DecideInput, Decision } from "./instance/decide.ts";
export type { Effect } from "./instance/effect.ts";
export type { EventInput } from "./instance/event-input.ts";
export type { InstanceSnapshot } from "./instance/instance-snapshot.ts";
export type { Alert } from "./model/alert.ts";
export type { ConvergenceFunction, ConvergenceRule, DimensionValue, Observation } from "./model/convergence-rule.ts";
export { BecalmError, type ErrorCode, errorCode } from "./model/errors.ts";
export type { InstanceContext, InstanceEvent, InstancePolicy, InstanceState } from "./model/instance-types.ts";
export type { ReasonCode } from "./model/reasons.ts";
export type { Policy, PolicySet, Silence } from "./policy/policy.ts";
export type { PolicyVersions } from "./policy/policy-versions.ts";
export type { ExplainOptions } from "./present/explained-entry.ts";
export type { RemovedBundles } from "./removed-bundles.ts";
export type { ListFilter } from "./runtime/instance-reader.ts";
export type { Replay, ReplayedStep } from "./simulate/replay.ts";
export type { DimensionLock } from "./stores/dimension-lock.ts";
export { lmdbDetectionStore } from "./stores/lmdb/lmdb-detection-store.ts";
export { lmdbStore } from "./stores/lmdb/lmdb-store.ts";
export { memoryDetectionStore } from "./stores/memory/memory-detection-store.ts";
export { memoryStore } from "./stores/memory/memory-store.ts";
export { redisDetectionStore } from "./stores/redis/redis-detection-store.ts";
export { redisStore } from "./stores/redis/redis-store.ts";
export type { Store } from "./stores/store.ts";
export type { Clock } from "./system/clock.ts";
export type { Logger } from "./system/logger.ts";
export {
  createWorker,
  type EffectKind,
  type QueueOptions,
  type Rate,
  type Worker,
  type WorkerOptions,
  type WorkerStatus,
} from "./worker.ts";
