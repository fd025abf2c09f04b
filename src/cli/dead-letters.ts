/** `becalm dead-letters`: attempts that were delivered again and again without a result, and wait for a person. */
import { BecalmError } from "../model/errors.ts";
import { type DeadLetterRow, deadLetterRow } from "../present/dead-letter-row.ts";
import { count } from "../present/text-table.ts";
import { deadLetters } from "../runtime/workers/dead-letters.ts";
import { askServer, type ServerAddress } from "../stores/server/server-store.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { show } from "./show.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, serverOf, withStore } from "./with-namespace.ts";

export type DeadLetterOptions = StoreOptions & {
  readonly what: string;
  readonly ids: readonly string[];
  readonly all: boolean;
  readonly limit: number;
  readonly json: boolean;
};

type Letters = {
  list(limit: number): Promise<readonly DeadLetterRow[]>;
  /** Gives the ids that were set aside. */
  resume(ids: readonly string[]): Promise<readonly string[]>;
};

const COUNT_MAX = 1_000;

export async function deadLettersCommand(terminal: Terminal, options: DeadLetterOptions): Promise<number> {
  const { what, ids, all } = options;
  if (what === "list" && ids.length === 0) return withLetters(options, (letters) => list(terminal, letters, options));
  if (what === "show" && ids.length === 1)
    return withLetters(options, (letters) => showOne(terminal, letters, options));
  if (what === "resume" && ids.length > 0 !== all)
    return withLetters(options, (letters) => resume(terminal, letters, options));
  throw usedWrongly("Write `becalm dead-letters`, `dead-letters show ID`, or `dead-letters resume ID...` or `--all`.");
}

async function list(terminal: Terminal, letters: Letters, { limit, json }: DeadLetterOptions): Promise<number> {
  const found = await letters.list(limit);
  for (const letter of found) await (json ? terminal.json(letter) : terminal.out(lineOf(terminal, letter)));
  if (found.length === 0) terminal.note(terminal.say("Nothing is set aside.", "没有被搁置的执行。"));
  return EXIT.done;
}

async function showOne(terminal: Terminal, letters: Letters, options: DeadLetterOptions): Promise<number> {
  const [id = ""] = options.ids;
  const letter = (await letters.list(COUNT_MAX)).find((one) => one.id === id);
  if (letter === undefined) throw notSetAside([id]);
  if (options.json) await terminal.json(letter);
  else {
    await terminal.out(lineOf(terminal, letter));
    await terminal.out(
      terminal.say(
        "No process that began it reported how it ended. If its target is well, resume it: it is delivered once more, under the same key.\n",
        "开始执行它的进程都没有报告结果。如果目标正常，请恢复：它会以相同的键再投递一次。\n",
      ),
    );
  }
  return show(terminal, { ...options, id: letter.instance });
}

async function resume(terminal: Terminal, letters: Letters, { ids, all, json }: DeadLetterOptions): Promise<number> {
  const resumed = all ? await resumeAll(letters) : await letters.resume(ids);
  const missing = all ? [] : ids.filter((id) => !resumed.includes(id));
  if (json) for (const id of resumed) await terminal.json({ id, resumed: true });
  else {
    const were = count(resumed.length, "attempt is delivered", "attempts are delivered");
    await terminal.out(terminal.say(`${were} once more.`, `${resumed.length} 个执行将再投递一次。`));
  }
  if (missing.length > 0) throw notSetAside(missing);
  return EXIT.done;
}

/** As many at once as the server takes. */
async function resumeAll(letters: Letters): Promise<readonly string[]> {
  const resumed: string[] = [];
  for (;;) {
    const wanted = (await letters.list(COUNT_MAX)).map(({ id }) => id);
    const some = wanted.length === 0 ? [] : await letters.resume(wanted);
    resumed.push(...some);
    if (wanted.length < COUNT_MAX || some.length === 0) return resumed;
  }
}

function lineOf({ say, reader: { times } }: Terminal, letter: DeadLetterRow): string {
  const { id, policy, attempt, deliveries, setAsideAt } = letter;
  const since = times.iso(Date.parse(setAsideAt));
  return say(
    `${id}  ${policy ?? "?"}  attempt ${attempt}, delivered ${deliveries} times, set aside ${since}`,
    `${id}  ${policy ?? "?"}  第 ${attempt} 次执行，投递 ${deliveries} 次，搁置于 ${since}`,
  );
}

function notSetAside(ids: readonly string[]): BecalmError {
  const text = `Not set aside: ${ids.join(", ")}. \`becalm dead-letters\` lists what is.`;
  return new BecalmError("BECALM_NOT_FOUND", text, { details: { ids } });
}

async function withLetters<T>(options: DeadLetterOptions, use: (letters: Letters) => Promise<T>): Promise<T> {
  const server = serverOf(options);
  if (server !== null) return use(serverLetters(server));
  return withStore(options, "dead-letters", (runtime) =>
    use({
      list: async (limit) => (await deadLetters(runtime, { limit })).map(deadLetterRow),
      resume: (ids) => runtime.store.outbox.resume(ids),
    }),
  );
}

function serverLetters(address: ServerAddress): Letters {
  return {
    list: async (limit) => {
      const answer = await askServer(address, `/v1/dead-letters?limit=${limit}`, { method: "GET" });
      return (answer as { deadLetters: DeadLetterRow[] }).deadLetters;
    },
    resume: async (ids) => {
      const answer = await askServer(address, "/v1/dead-letters/resume", { body: { ids } });
      return (answer as { resumed: string[] }).resumed;
    },
  };
}
