/** Pauses and silences that a running server makes: what `becalm pause`, `resume` and `silence` do with `--server`. */

import type { PauseNote } from "../model/instance-types.ts";
import { type Matcher, parseMatchers } from "../policy/matcher.ts";
import { isoTime } from "../present/time-text.ts";
import type { SilenceService, StoredSilence } from "../runtime/silences/stored-silences.ts";
import type { PauseService } from "../runtime/stops/pause-service.ts";
import { askServer, type ServerAddress } from "../stores/server/server-store.ts";

type PauseBody = { readonly by: string; readonly why: string; readonly since: string; readonly policy: string | null };

export function serverPauses(address: ServerAddress): Pick<PauseService, "pause" | "resume" | "pauses"> {
  return {
    pause: async ({ by, why, policy }) =>
      noteOf((await askServer(address, "/v1/pause", { method: "PUT", body: { by, why, policy } })) as PauseBody),
    resume: async ({ by, why, policy, held }) => {
      const query = held === undefined || held === "keep" ? "" : `?${held}=true`;
      const answer = await askServer(address, `/v1/pause${query}`, { method: "DELETE", body: { by, why, policy } });
      const { lifted, decided } = answer as { lifted: PauseBody | null; decided: number };
      return { lifted: lifted === null ? null : noteOf(lifted), decided };
    },
    pauses: async () => {
      const { pauses } = (await askServer(address, "/v1/pause", { method: "GET" })) as { pauses: PauseBody[] };
      return pauses.map(noteOf);
    },
  };
}

function noteOf({ by, why, since, policy }: PauseBody): PauseNote {
  return { by, why, sinceMs: Date.parse(since), scope: policy };
}

type SilenceBody = {
  readonly id: string;
  readonly matchers: readonly { name: string; value: string; isRegex: boolean; isEqual: boolean }[];
  readonly startsAt: string;
  readonly endsAt: string;
  readonly updatedAt: string;
  readonly createdBy: string;
  readonly comment: string;
};

const PATH = "/api/v2/silences";

export function serverSilences(
  address: ServerAddress,
): Pick<SilenceService, "add" | "silences"> & { expire(id: string): Promise<null> } {
  const silences = async () => ((await askServer(address, PATH, { method: "GET" })) as SilenceBody[]).map(silenceOf);
  return {
    silences,
    add: async ({ match, fromMs = Date.now(), toMs, by, why }) => {
      const body = {
        matchers: [match]
          .flat()
          .flatMap((text) => parseMatchers(text))
          .map(matcherBody),
        startsAt: isoTime(fromMs),
        endsAt: isoTime(toMs),
        createdBy: by,
        comment: why,
      };
      const { silenceID: id } = (await askServer(address, PATH, { method: "POST", body })) as { silenceID: string };
      return silenceOf((await askServer(address, `/api/v2/silence/${id}`, { method: "GET" })) as SilenceBody);
    },
    // The server looks at what it held; how many that were it does not say.
    expire: async (id) => {
      await askServer(address, `/api/v2/silence/${encodeURIComponent(id)}`, { method: "DELETE" });
      return null;
    },
  };
}

function matcherBody({ name, operator, value }: Matcher): SilenceBody["matchers"][number] {
  return { name, value, isRegex: operator.endsWith("~"), isEqual: operator.startsWith("=") };
}

function silenceOf({ id, matchers, startsAt, endsAt, updatedAt, createdBy, comment }: SilenceBody): StoredSilence {
  const match = matchers.map(({ name, value, isRegex, isEqual }): Matcher => {
    const operator = isRegex ? (isEqual ? "=~" : "!~") : isEqual ? "=" : "!=";
    return { name, operator, value };
  });
  const [fromMs, toMs, updatedAtMs] = [startsAt, endsAt, updatedAt].map((text) => Date.parse(text)) as [
    number,
    number,
    number,
  ];
  return { id, match, fromMs, toMs, updatedAtMs, author: createdBy, comment };
}
