/**
 * A store whose calls are spans under the request, the attempt or the commit that makes them. What nobody traces, as a
 * worker that looks for work, makes none.
 */
import { context, type Span, SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import { errorCode, messageOf } from "./model/errors.ts";
import type { Commit, CommitOutcome, Store } from "./stores/store.ts";
import { storeBetween } from "./stores/store-between.ts";
import { inSpan, isTracing, tracer } from "./system/tracing.ts";

const TRACED = ["load", "members", "tally", "list", "history", "renewEpisodes", "dueTimes"] as const;

/** The store itself while nobody traces. */
export function tracedStore(store: Store): Store {
  if (!isTracing()) return store;
  const between = new Map<keyof Store, unknown>();
  for (const name of TRACED) {
    const call = (store[name] as (request: unknown) => Promise<unknown>).bind(store);
    between.set(name, (request: unknown) =>
      trace.getSpan(context.active()) === undefined ? call(request) : inStoreSpan(name, () => call(request)),
    );
  }
  between.set("commit", (commit: Commit) => tracedCommit(commit, store));
  return storeBetween(store, between);
}

/** A commit is a span even where nothing was traced before it, such as that of a timer. */
function tracedCommit(commit: Commit, store: Store): Promise<CommitOutcome> {
  return inStoreSpan("commit", async (span) => {
    span.setAttributes({
      "becalm.commit": commit.commitId,
      "becalm.partition": commit.partition,
      "becalm.instances": commit.instances.length,
      "becalm.effects": commit.effects.length,
      ...(commit.group === null ? {} : { "becalm.group": commit.group.id }),
    });
    const outcome = await store.commit(commit);
    span.setAttribute("becalm.outcome", outcome);
    return outcome;
  });
}

async function inStoreSpan<T>(call: string, act: (span: Span) => Promise<T>): Promise<T> {
  const span = tracer().startSpan(`store ${call}`, { kind: SpanKind.CLIENT });
  try {
    return await inSpan(span, () => act(span));
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: errorCode(error) ?? messageOf(error) });
    throw error;
  } finally {
    span.end();
  }
}
