/**
 * `becalm inspect`: instances in the Stately inspector, as they move or as they moved; with `--format` one of them as a
 * drawing.
 */
import { actionInstanceMachine } from "../../machines/index.ts";
import { type DrawingFormat, drawChart } from "../drawing/index.ts";
import { follow } from "../inspect/follow.ts";
import { commitsOf } from "../inspect/history-commits.ts";
import { createInspectServer, type InspectServer, type InspectServerOptions } from "../inspect/inspect-server.ts";
import { instanceSource, type Selection } from "../inspect/instance-source.ts";
import { Player } from "../inspect/player.ts";
import { topLevel } from "../instance/step.ts";
import { count } from "../present/text-table.ts";
import type { InstanceReader } from "../runtime/instance-reader.ts";
import { historyVisits } from "../simulate/history-visits.ts";
import { replay } from "../simulate/replay.ts";
import { systemClock } from "../system/system-clock.ts";
import { EXIT, usedWrongly } from "./exit-codes.ts";
import { catchInterrupts } from "./interrupts.ts";
import type { Terminal } from "./terminal.ts";
import { type StoreOptions, withReading } from "./with-namespace.ts";

export type InspectOptions = StoreOptions & {
  readonly ids: readonly string[];
  readonly policy?: string;
  readonly group?: string;
  readonly live: boolean;
  readonly replay: boolean;
  /** Of a replay; as it was when left out. */
  readonly speed?: number | undefined;
  readonly port: number;
  readonly limit: number;
  /** Fields, separated by commas. */
  readonly redact?: string;
  /** `none`: nothing is embedded. */
  readonly inspectorUrl?: string;
  readonly format?: DrawingFormat;
  readonly json: boolean;
};

export async function inspect(terminal: Terminal, options: InspectOptions): Promise<number> {
  requireClear(options);
  return withReading(options, "inspect", async (instances, named) => {
    for (const id of named.ids) await instances.instance(id);
    if (options.format !== undefined)
      return draw(terminal, instances, { id: named.ids[0] ?? "", format: options.format });
    const server = await createInspectServer(serverOptions(options));
    try {
      const selection = selectionOf(named);
      const stop = options.replay
        ? await startReplay(terminal, { instances, server, selection, options })
        : startLive(terminal, { instances, server, selection });
      await tellAddress(terminal, server, options);
      await interrupted();
      stop();
      return EXIT.done;
    } finally {
      await server.close();
    }
  });
}

function requireClear({ ids, policy, group, live, replay: isReplay, format, json, speed }: InspectOptions): void {
  if (format !== undefined && ids.length !== 1) {
    throw usedWrongly(
      `--format draws one instance, but ${ids.length} were named. Name one: becalm inspect ID --format svg.`,
    );
  }
  if (format !== undefined && json) throw usedWrongly("A drawing is not JSON: leave --json or --format out.");
  if (speed !== undefined && !isReplay)
    throw usedWrongly("--speed is that of a replay: add --replay, or leave it out.");
  if (live && isReplay)
    throw usedWrongly(
      "--live and --replay exclude each other: choose whether to follow the instances or to play what they did.",
    );
  if (ids.length > 0 && (policy !== undefined || group !== undefined)) {
    throw usedWrongly("Name instances, or choose them with --policy and --group; not both.");
  }
}

async function draw(
  terminal: Terminal,
  instances: InstanceReader,
  { id, format }: { id: string; format: DrawingFormat },
): Promise<number> {
  const { snapshot } = await instances.instance(id);
  const picture = drawChart(actionInstanceMachine, {
    format,
    path: historyVisits(await instances.history(id)),
    current: snapshot.state,
    title: terminal.say(`${id} is ${topLevel(snapshot.state)}`, `${id} 处于 ${topLevel(snapshot.state)}`),
  });
  await terminal.out(picture.trimEnd());
  return EXIT.done;
}

function serverOptions({ port, redact, inspectorUrl }: InspectOptions): InspectServerOptions {
  return {
    port,
    ...(redact === undefined ? {} : { redact: redact.split(",").map((field) => field.trim()) }),
    ...(inspectorUrl === undefined ? {} : { inspectorUrl: inspectorUrl === "none" ? null : inspectorUrl }),
  };
}

function selectionOf({ ids, policy, group, limit }: InspectOptions): Selection {
  return {
    limit,
    ...(ids.length === 0 ? {} : { ids }),
    ...(policy === undefined ? {} : { policy }),
    ...(group === undefined ? {} : { group }),
  };
}

type Parts = { readonly instances: InstanceReader; readonly server: InspectServer; readonly selection: Selection };

function startLive(terminal: Terminal, { instances, server, selection }: Parts): () => void {
  const source = instanceSource(instances, selection);
  let told = "";
  // A store that is away fails every round in the same way: it is reported once.
  const onFault = (what: string) => {
    if (what !== told) terminal.note(terminal.noteColors.yellow(what));
    told = what;
  };
  return follow(server, { instances, source }, { clock: systemClock(), onFault });
}

/** Playing begins when somebody watches. */
async function startReplay(
  terminal: Terminal,
  { instances, server, selection, options }: Parts & { options: InspectOptions },
): Promise<() => void> {
  const { speed = 1 } = options;
  const histories = [];
  for await (const page of instanceSource(instances, selection).pages()) {
    for (const { id } of page) {
      const history = await instances.history(id);
      histories.push(commitsOf(history, replay(history).steps));
    }
  }
  terminal.note(
    terminal.say(
      `${count(histories.length, "history", "histories")} to play, at ${speed} times the speed; it starts when a viewer connects.`,
      `将以 ${speed} 倍速播放 ${histories.length} 份历史；有人打开页面时开始。`,
    ),
  );
  const player = new Player(server, histories, { clock: systemClock(), speed });
  server.onFirstViewer(() => player.play());
  return () => player.pause();
}

async function tellAddress(
  terminal: Terminal,
  { url, socketUrl, port }: InspectServer,
  { json }: InspectOptions,
): Promise<void> {
  if (json) {
    await terminal.json({ url, socketUrl, port });
    return;
  }
  await terminal.out(url);
  terminal.note(
    terminal.say(
      "Open this address in a browser on this machine. Ctrl-C ends it.",
      "请在本机浏览器中打开此地址。按 Ctrl-C 结束。",
    ),
  );
}

/** SIGINT and SIGTERM are how a server is asked to end. */
function interrupted(): Promise<void> {
  return new Promise((resolve) => {
    const interrupts = catchInterrupts(() => {
      interrupts.end();
      resolve();
    });
  });
}
