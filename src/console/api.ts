/** What the console asks of its server: the HTTP API and nothing else. Shapes as docs/http-api.md has them. */

export type Sentence = { readonly en: string; readonly zh: string };
export type Labels = Readonly<Record<string, string>>;
export type AlertRow = { readonly fingerprint: string; readonly startsAt: string; readonly labels: Labels };

export type InstanceRow = {
  readonly id: string;
  readonly kind: string;
  readonly policy: string;
  readonly state: string;
  readonly reason: string | null;
  readonly group: string | null;
  readonly attempts: number;
  readonly createdAt: string;
  readonly at: string;
  readonly version: number;
  readonly alert: AlertRow | null;
  /** Only of a request and a summary: the instance that it is about, and the labels of its alert. */
  readonly about?: { readonly instance: string; readonly labels: Labels | null };
  readonly sentence: Sentence | null;
  readonly quarantined?: true;
  readonly error?: string;
};

export type InstanceDetail = InstanceRow & {
  readonly path: readonly string[];
  readonly annotations: Labels;
  readonly generatorURL: string | null;
  readonly policyVersion: string;
  readonly timers: readonly { readonly name: string; readonly dueAt: string | null }[];
};

export type Step = {
  readonly version: number;
  readonly at: string;
  readonly event: Readonly<Record<string, unknown>> & { readonly type: string };
  readonly path: readonly string[];
  readonly reason: string | null;
  readonly sentence: Sentence;
  readonly actor: string;
  /** null: it is not recorded. */
  readonly decidedBy: { readonly process: string; readonly name: string | null } | null;
  readonly peers: readonly string[];
  readonly counterfactual: { readonly sentence: Sentence } | null;
  readonly checkpoint: string;
  readonly hash: string;
  /** The machine behind the step, from a replay. */
  readonly snapshot: { readonly state: string; readonly context: Readonly<Record<string, unknown>> };
};

export type Approval = {
  readonly group: string | null;
  readonly policy: string;
  readonly reason: string | null;
  readonly sentence: Sentence | null;
  readonly alert: AlertRow | null;
  /** What is asked for: the action that a grant begins. */
  readonly action: Action | null;
  readonly held: number;
  readonly since: string;
  readonly dueAt: string | null;
  readonly instances: readonly string[];
  /** The first of them, with what tells them apart. */
  readonly shown: readonly { readonly id: string; readonly labels: Labels | null }[];
};

export type Action = Readonly<Record<string, unknown>> & { readonly kind: string };

export type Decided = {
  readonly event: string;
  readonly policy: string;
  readonly group: string | null;
  readonly at: string;
  readonly by: string;
  readonly why: string | null;
  readonly sentence: Sentence;
  readonly labels: Labels | null;
  readonly count: number;
  readonly instances: readonly string[];
};

export type Bucket = {
  readonly at: string;
  readonly alerts: number;
  readonly executed: number;
  readonly skipped: number;
};

export type Storm = {
  readonly since: string;
  readonly bucketMs: number;
  readonly buckets: readonly Bucket[];
  readonly totals: { readonly alerts: number; readonly executed: number; readonly skipped: number };
  readonly waiting: number;
  readonly groups: readonly {
    readonly id: string;
    readonly policy: string;
    readonly instances: number;
    readonly executed: number;
    readonly skipped: number;
    readonly held: number;
    readonly dimensions: Labels;
    readonly open: { readonly until: string } | null;
    readonly at: string;
  }[];
  readonly reasons: readonly { readonly reason: string; readonly text: Sentence; readonly count: number }[];
};

export type Pause = {
  readonly policy: string | null;
  readonly by: string;
  readonly why: string;
  readonly since: string;
};
export type Policy = Readonly<Record<string, unknown>> & { readonly name: string; readonly version: string };

export type Matcher = {
  readonly name: string;
  readonly value: string;
  readonly isRegex: boolean;
  readonly isEqual?: boolean;
};
export type Silence = {
  readonly id: string;
  readonly matchers: readonly Matcher[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly createdBy: string;
  readonly comment: string;
  readonly status: { readonly state: "active" | "pending" | "expired" };
};

export type Caller = { readonly name: string | null; readonly role: "read" | "operate" | "admin" };
export type CommittedStep = {
  readonly id: string;
  readonly policy: string;
  readonly state: string;
  readonly at: string;
};

/** What the server refused, in its own words. `details.last` says what happened meanwhile. */
export class Refused extends Error {
  readonly status: number;
  readonly code: string;
  readonly details: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    message: string,
    { code = "", details = {} }: { code?: string; details?: Readonly<Record<string, unknown>> } = {},
  ) {
    super(message);
    this.status = status;
    this.code = code;
    this.details = details;
  }
}

const TOKEN = "becalm-token";

export function saveToken(token: string): void {
  sessionStorage.setItem(TOKEN, token);
}

function headers(more: Readonly<Record<string, string>> = {}): Record<string, string> {
  const token = sessionStorage.getItem(TOKEN);
  return token === null || token === "" ? { ...more } : { ...more, authorization: `Bearer ${token}` };
}

async function answerOf(response: Response): Promise<Response> {
  if (response.ok) return response;
  const body: unknown = await response.json().catch(() => null);
  throw refusalOf(response.status, body);
}

function refusalOf(status: number, body: unknown): Refused {
  if (typeof body === "string") return new Refused(status, body);
  const { error, message } = (body ?? {}) as {
    error?: { code?: string; message?: string; details?: Record<string, unknown> };
    message?: string;
  };
  const { code = "", details = {} } = error ?? {};
  return new Refused(status, error?.message ?? message ?? `The server answered ${status}.`, { code, details });
}

export async function get<T>(path: string): Promise<T> {
  return (await (await answerOf(await fetch(path, { headers: headers() }))).json()) as T;
}

/** A file of the server's, saved under `name`: a plain link cannot send a token. */
export async function download(path: string, name: string): Promise<void> {
  const url = URL.createObjectURL(new Blob([await getText(path)]));
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}

export async function getText(path: string): Promise<string> {
  return (await answerOf(await fetch(path, { headers: headers() }))).text();
}

export async function send<T>(
  method: "POST" | "PUT" | "DELETE",
  path: string,
  { body, ifMatch, signal }: { body?: unknown; ifMatch?: number; signal?: AbortSignal } = {},
): Promise<T | null> {
  const response = await fetch(path, {
    method,
    ...(signal === undefined ? {} : { signal }),
    headers: headers({
      ...(body === undefined ? {} : { "content-type": "application/json" }),
      ...(ifMatch === undefined ? {} : { "if-match": `"${ifMatch}"` }),
    }),
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await (await answerOf(response)).text();
  return text === "" ? null : (JSON.parse(text) as T);
}

export type Live = { readonly onStep: (step: CommittedStep) => void; readonly onState: (isConnected: boolean) => void };

const RECONNECT_MS = 2_000;

/**
 * Follows committed steps until the returned function is called. EventSource cannot send a token, so the stream is read
 * here; a stream that breaks goes on behind the last step that came.
 */
export function follow({ onStep, onState }: Live): () => void {
  const controller = new AbortController();
  void (async () => {
    let lastId: string | null = null;
    while (!controller.signal.aborted) {
      try {
        const response = await fetch("/v1/events", {
          headers: headers(lastId === null ? {} : { "last-event-id": lastId }),
          signal: controller.signal,
        });
        await answerOf(response);
        onState(true);
        for await (const event of eventsOf(response)) {
          lastId = event.id ?? lastId;
          if (event.type === "step") onStep(JSON.parse(event.data) as CommittedStep);
          // Something was missed: whoever listens reads again.
          if (event.type === "gap") onStep({ id: "", policy: "", state: "", at: "" });
        }
      } catch {
        // Said by the connection's state; it is tried again below.
      }
      if (controller.signal.aborted) return;
      onState(false);
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS));
    }
  })();
  return () => controller.abort();
}

type ServerEvent = { readonly type: string; readonly id: string | null; readonly data: string };

async function* eventsOf(response: Response): AsyncGenerator<ServerEvent> {
  if (response.body === null) return;
  let rest = "";
  for await (const piece of response.body.pipeThrough(new TextDecoderStream())) {
    const blocks = (rest + piece).split("\n\n");
    rest = blocks.pop() ?? "";
    for (const block of blocks) {
      const event = { type: "message", id: null as string | null, data: "" };
      for (const line of block.split("\n")) {
        if (line.startsWith("event: ")) event.type = line.slice(7);
        if (line.startsWith("id: ")) event.id = line.slice(4);
        if (line.startsWith("data: ")) event.data += line.slice(6);
      }
      if (event.data !== "") yield event;
    }
  }
}
