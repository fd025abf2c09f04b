import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningProgram, skipUnlessThere, startAlertmanager } from "../support/debian-programs.ts";
import { EVERY_ALERT, type ServerWorld, serverWorld } from "../support/server-world.ts";
import { type Asked, requests } from "./alertmanager-requests.ts";

const CONFIG = "route: { receiver: default }\nreceivers: [{ name: default }]\n";

type Answer = {
  readonly status: number;
  readonly type: string | null;
  readonly allow: string | null;
  readonly body: unknown;
};

/** Its handler has failed, and the connection is gone. */
const CUT: Answer = { status: 0, type: null, allow: null, body: null };

/** One of the two servers, with what its answers brought to light. */
class Side {
  readonly #url: string;
  readonly #silences: string[] = [];
  #startsAt = "";

  constructor(url: string) {
    this.#url = url;
  }

  /** `nowMs`: the same for both sides, however long one of them takes. */
  async ask({ method = "GET", path, body, type = "application/json", accept }: Asked, nowMs: number): Promise<Answer> {
    const headers: Record<string, string> = {};
    if (body !== undefined && type !== null) headers["content-type"] = type;
    if (accept !== undefined) headers["accept"] = accept;
    const text = typeof body === "string" ? body : JSON.stringify(body);
    const response = await fetch(this.#url + this.#filled(path), {
      method,
      headers,
      redirect: "manual",
      ...(text === undefined ? {} : { body: new TextEncoder().encode(this.#filled(text)) }),
    });
    const answer = await response.text();
    const { headers: given } = response;
    this.#learn(answer);
    return {
      status: response.status,
      // Go names no type for the empty answer to a HEAD.
      type: (method === "HEAD" ? null : given.get("content-type"))?.toLowerCase() ?? null,
      allow: given.get("allow")?.split(",").sort().join(",") ?? null,
      body: this.#told(answer, nowMs),
    };
  }

  #filled(text: string): string {
    return text
      .replace(/\{silence:(\d)\}/g, (_, index: string) => this.#silences[Number(index)] ?? "missing")
      .replace("{startsAt:0}", this.#startsAt);
  }

  #learn(text: string): void {
    const id = /"silenceID":"([^"]+)"/.exec(text)?.[1];
    if (id !== undefined && !this.#silences.includes(id)) this.#silences.push(id);
    if (this.#startsAt === "") this.#startsAt = /"startsAt":"([^"]+)"\}$/.exec(text.trim())?.[1] ?? "";
  }

  /** Ids by their order, times by what they are near. Methods of a 405 stand in any order. */
  #told(text: string, nowMs: number): unknown {
    const known = this.#silences.reduce((told, id, index) => told.replaceAll(id, `silence ${index}`), text);
    const timed = known.replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z/g, (time) => near(Date.parse(time), nowMs));
    const methods = timed.replace(
      /but \[([A-Z,]+)\]/,
      (_, list: string) => `but [${list.split(",").sort().join(",")}]`,
    );
    try {
      return JSON.parse(methods) as unknown;
    } catch {
      return methods;
    }
  }
}

/** A time of a server is told by how far it lies from now, in tens of seconds. */
function near(atMs: number, nowMs: number): string {
  return `now ${Math.round((atMs - nowMs) / 10_000) * 10} s`;
}

describe.skipIf(skipUnlessThere())("Alertmanager's API", () => {
  let real: RunningProgram;
  let world: ServerWorld;
  const asked = requests(Date.now());
  const answers = new Map<string, readonly [Answer, Answer]>();

  beforeAll(async () => {
    real = await startAlertmanager(CONFIG);
    world = await serverWorld({ policies: EVERY_ALERT });
    const sides = [new Side(real.url), new Side(world.url)] as const;
    for (const request of requests(Date.now())) {
      const nowMs = Date.now();
      const theirs = await sides[0].ask(request, nowMs).catch(() => CUT);
      answers.set(request.name, [theirs, await sides[1].ask(request, nowMs)]);
    }
  });
  afterAll(async () => {
    await world.close();
    await real.stop();
  });

  test.each(asked.filter(({ differs }) => differs === undefined))("answers as the real one does: $name", ({ name }) => {
    const [theirs, ours] = answers.get(name) as readonly [Answer, Answer];
    expect(ours).toEqual(theirs);
  });

  test.each(asked.filter(({ differs }) => differs !== undefined))(
    "differs on purpose, as the documentation says: $name",
    ({ name, differs }) => {
      const [theirs, ours] = answers.get(name) as readonly [Answer, Answer];
      expect(ours).not.toEqual(theirs);
      expect(readFileSync("docs/http-api.md", "utf8")).toContain(`| ${differs} |`);
    },
  );
});
