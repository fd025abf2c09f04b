/**
 * The limits of what comes in, of rules, commits and stores, each with its unit at the end of its name. A limit
 * protects memory, the store's latency, or people from a slip of the hand; what meets one is refused with a clear
 * reason, never cut silently. Relations between limits that other code relies on are checked below, when this file is
 * loaded.
 */
const KIB = 1_024;
const MIB = 1_024 * KIB;
const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

// What comes in.
/** One request: a line or a whole document of `becalm run`'s file, or the body of one POST. */
export const REQUEST_LINE_BYTES_MAX = 128 * MIB;
export const ALERT_COUNT_MAX = 100_000;
export const LABEL_COUNT_MAX = 256;
export const LABEL_NAME_BYTES_MAX = 1 * KIB;
export const LABEL_VALUE_BYTES_MAX = 16 * KIB;
export const ANNOTATION_COUNT_MAX = 256;
export const ANNOTATION_VALUE_BYTES_MAX = 64 * KIB;
/** One whole alert as JSON: a commit holds it in a checkpoint and once more in an effect. */
export const ALERT_BYTES_MAX = 384 * KIB;
export const GENERATOR_URL_BYTES_MAX = 16 * KIB;
/** Times before 1970 or after the year 9999 are refused: no alert is that old, and the text form needs four digits. */
export const TIMESTAMP_AT_MS_MIN = 0;
export const TIMESTAMP_AT_MS_MAX = 253_402_300_799_999;

// Episodes.
/** A v2 receipt without `endsAt` is good for so long; senders repeat themselves within it. */
export const RESOLVE_TIMEOUT_MS = 5 * MINUTE_MS;
/**
 * So soon after the receipt of a resolve, a receipt of the activity that it ended is a late word of a second sender.
 */
export const LATE_AFTER_END_MS = 1 * MINUTE_MS;

// The policy file.
export const POLICY_FILE_BYTES_MAX = 4 * MIB;
/** Values of a policy file after its aliases are expanded: what makes an alias bomb harmless. */
export const POLICY_FILE_VALUE_COUNT_MAX = 200_000;
export const POLICY_FILE_DEPTH_MAX = 32;
/** Mistakes listed for one file; further ones are only counted. */
export const POLICY_MISTAKE_COUNT_MAX = 100;
export const POLICY_COUNT_MAX = 1_000;
export const SILENCE_COUNT_MAX = 1_000;
export const MATCHER_COUNT_MAX = 64;
export const DIMENSION_COUNT_MAX = 32;
export const DIMENSION_VALUE_COUNT_MAX = 1_000;
export const POLICY_TEXT_BYTES_MAX = 4 * KIB;
export const WEBHOOK_HEADER_COUNT_MAX = 64;
export const WEBHOOK_BODY_BYTES_MAX = 16 * KIB;
export const WEBHOOK_SECRET_COUNT_MAX = 16;
export const EXEC_ARGUMENT_COUNT_MAX = 256;

// Convergence.
export const RULE_COUNT_MAX = 10_000;
export const WINDOW_MS_MAX = 31 * DAY_MS;
export const SUMMARY_DELAY_MS_MAX = 1 * DAY_MS;
/** Ids of peers that an audit entry shows. */
export const PEER_SAMPLE_COUNT_MAX = 3;
/** Skipped instances that a summary shows. */
export const SUMMARY_SAMPLE_COUNT_MAX = 20;
/** Waiting in Proceeding lasts at least this long in total. */
export const WAIT_MS_MIN = 600 * SECOND_MS;

// Actions, retries, approvals.
export const ACTION_TIMEOUT_MS_DEFAULT = 60 * SECOND_MS;
export const ACTION_TIMEOUT_MS_MAX = 2 * HOUR_MS;
/** What a target answered, as the audit keeps it: a webhook's body, each output of a program, a handler's result. */
export const EFFECT_RESULT_BYTES_MAX = 4 * KIB;
/** The sentence that says why an attempt failed. */
export const EFFECT_ERROR_BYTES_MAX = 1 * KIB;
/** A program that is asked to end (SIGTERM) is killed after this. */
export const EXEC_KILL_DELAY_MS = 2 * SECOND_MS;
/** How long the output of a program that has ended is waited for: something that it left behind may keep it open. */
export const EXEC_DRAIN_MS = 500;
export const RETRY_LIMIT_DEFAULT = 0;
export const RETRY_LIMIT_MAX = 100;
export const RETRY_DELAY_MS_DEFAULT = 10 * SECOND_MS;
/** Also the longest delay that a backoff grows to. */
export const RETRY_DELAY_MS_MAX = 1 * DAY_MS;
export const RETRY_BACKOFF_DEFAULT = 2;
export const RETRY_BACKOFF_MAX = 10;
export const APPROVAL_TIMEOUT_MS_DEFAULT = 30 * MINUTE_MS;
export const APPROVAL_TIMEOUT_MS_MAX = 31 * DAY_MS;

// Verifying, deciding again, brakes.
export const QUORUM_MAX = 100;
export const VERIFY_MS_MAX = 31 * DAY_MS;
/** Often enough for anybody, and far enough apart that a storm is not decided again as fast as it came. */
export const AGAIN_AFTER_MS_MIN = 1 * SECOND_MS;
export const AGAIN_AFTER_MS_MAX = 31 * DAY_MS;
export const AGAIN_LIMIT_DEFAULT = 1;
export const AGAIN_LIMIT_MAX = 1_000;
/** Attempts, and failed ones, that a brake counts. */
export const BRAKE_COUNT_MAX = 1_000_000;
export const BRAKE_PER_MS_MAX = 1 * DAY_MS;

// One commit, and what happens when it loses.
export const COMMIT_INSTANCE_COUNT_MAX = 256;
export const COMMIT_BYTES_MAX = 1 * MIB;
/** How long a store remembers commit ids. */
export const COMMIT_ID_TTL_MS = 10 * MINUTE_MS;
export const CONFLICT_BACKOFF_MS_MIN = 1;
export const CONFLICT_BACKOFF_MS_MAX = 50;
/** Conflicts in a row after which the process takes a lease on the group. */
export const CONFLICT_COUNT_BEFORE_LEASE = 3;
export const CONFLICT_COUNT_MAX = 20;
export const GROUP_LEASE_MS = 1 * SECOND_MS;
/** Looks at a lease that others have, one after the other, until the batch is refused: some seconds. */
export const LEASE_WAIT_COUNT_MAX = 400;
export const DIMENSION_LOCK_LEASE_MS = 60 * SECOND_MS;
export const DIMENSION_LOCK_RETRY_MS = 3 * SECOND_MS;

// Engine and store.
/**
 * Alerts that an engine decides at once, and about how many bytes they may write. More in flight only adds latency, and
 * fills the memory.
 */
export const UNDERWAY_ALERT_COUNT_DEFAULT = 50_000;
export const UNDERWAY_BYTES_DEFAULT = 128 * MIB;
/** Attempts at once in one process. */
export const CONCURRENCY_DEFAULT = 16;
export const CONCURRENCY_MAX = 1_000;
export const PARTITION_COUNT_DEFAULT = 16;
/** Ids name their partition in two digits. */
export const PARTITION_COUNT_MAX = 100;
export const RETENTION_MS_DEFAULT = 7 * DAY_MS;
/** The receipt of a re-sent alert is written down at most once per retention / this. */
export const RETENTION_REFRESH_DIVISOR = 8;
/** How far an engine's clock may be from its store's. */
export const CLOCK_SKEW_MS_DEFAULT = 5 * SECOND_MS;
/** What could not be read is tried again this often. */
export const SWEEP_INTERVAL_MS = 30 * SECOND_MS;
export const LIST_PAGE_COUNT_DEFAULT = 100;
export const LIST_PAGE_COUNT_MAX = 1_000;

/** A relation between limits that code relies on; it names what would break. */
function relation(holds: boolean, why: string): void {
  if (!holds) throw new Error(`model/limits.ts contradicts itself: ${why}`);
}

relation(LABEL_VALUE_BYTES_MAX < ALERT_BYTES_MAX, "one label's value must fit into an alert");
relation(ANNOTATION_VALUE_BYTES_MAX < ALERT_BYTES_MAX, "one annotation must fit into an alert");
relation(GENERATOR_URL_BYTES_MAX < ALERT_BYTES_MAX, "a generatorURL must fit into an alert");
relation(ALERT_BYTES_MAX < REQUEST_LINE_BYTES_MAX, "one alert must fit into a request");
relation(
  ALERT_BYTES_MAX * 2 + 128 * KIB <= COMMIT_BYTES_MAX,
  "a commit must hold an instance's checkpoint, audit lines and effect",
);
relation(LATE_AFTER_END_MS < RESOLVE_TIMEOUT_MS, "an alert that still fires is repeated after its late words");
relation(RULE_COUNT_MAX >= COMMIT_INSTANCE_COUNT_MAX, "a group may be larger than a commit");
relation(SUMMARY_DELAY_MS_MAX <= WINDOW_MS_MAX, "a summary is no later than the longest window");
relation(ACTION_TIMEOUT_MS_DEFAULT <= ACTION_TIMEOUT_MS_MAX, "the default timeout of an action must be allowed");
relation(RETRY_DELAY_MS_DEFAULT <= RETRY_DELAY_MS_MAX, "the default delay of a retry must be allowed");
relation(RETRY_BACKOFF_DEFAULT <= RETRY_BACKOFF_MAX, "the default backoff must be allowed");
relation(APPROVAL_TIMEOUT_MS_DEFAULT <= APPROVAL_TIMEOUT_MS_MAX, "the default timeout of an approval must be allowed");
relation(AGAIN_LIMIT_DEFAULT <= AGAIN_LIMIT_MAX, "the default limit of deciding again must be allowed");
relation(CONFLICT_BACKOFF_MS_MIN <= CONFLICT_BACKOFF_MS_MAX, "the back-off's range must not be empty");
relation(CONFLICT_COUNT_BEFORE_LEASE < CONFLICT_COUNT_MAX, "a lease must be tried before a batch is refused");
relation(DIMENSION_LOCK_RETRY_MS < DIMENSION_LOCK_LEASE_MS, "a lock must be retried before it runs out");
relation(CONCURRENCY_DEFAULT <= CONCURRENCY_MAX, "the default concurrency must be allowed");
relation(PARTITION_COUNT_DEFAULT <= PARTITION_COUNT_MAX, "the default number of partitions must be allowed");
relation(
  CONFLICT_BACKOFF_MS_MAX * CONFLICT_COUNT_MAX < COMMIT_ID_TTL_MS,
  "a commit id must outlive all tries of its commit",
);
relation(LIST_PAGE_COUNT_DEFAULT <= LIST_PAGE_COUNT_MAX, "the default page must be allowed");
