/** An engine in a process of its own. It takes alerts from its parent, and its clock can be moved; it may be killed or stopped at any time. */
import { createEngine } from "../../src/engine.ts";
import type { AlertInput } from "../../src/formats/alert-input.ts";
import { messageOf } from "../../src/model/errors.ts";
import { obey } from "./at-point.ts";
import type { ContenderOptions, FromContender, ToContender } from "./contender.ts";
import { storeAt } from "./store-at.ts";

const options = JSON.parse(process.argv[2] ?? "{}") as ContenderOptions;
const { storeUrl, namespace, policies, leaveEffects = false, isRace = false } = options;
const realNow = Date.now;
let aheadMs = 0;
Date.now = () => realNow() + aheadMs;

const tell = (message: FromContender) => void process.send?.(message, () => {});
const report = (text: string) => tell({ type: "fault", text });
const store = storeAt(storeUrl, namespace);
if (isRace) {
  Object.defineProperty(store, "processes", { value: null });
  Object.defineProperty(store, "lock", { value: { acquire: async () => ({ release: async () => {} }) } });
}
const engine = createEngine({
  policies: policies as never,
  store,
  leaveEffects,
  logger: { debug: () => {}, info: () => {}, warn: (_, text) => report(text), error: (_, text) => report(text) },
});

async function ingest(id: number, alerts: readonly AlertInput[]): Promise<void> {
  try {
    const { instances, rejected } = await engine.ingest(alerts);
    const taken = instances.map(({ alert, id: instance, outcome }) => ({ alert, id: instance, outcome }));
    tell({ type: "answer", id, taken, refused: rejected.map(({ alert, error }) => ({ alert, code: error.code })) });
  } catch (error) {
    tell({ type: "answer", id, taken: [], refused: [], error: messageOf(error) });
  }
}

process.on("message", (message: ToContender) => {
  if (message.type === "ingest") void ingest(message.id, message.alerts as AlertInput[]);
  if (message.type === "clock") aheadMs = message.aheadMs;
  if (message.type === "point") obey(message.order);
  if (message.type === "end") void engine.stop().finally(() => process.exit(0));
});
process.on("disconnect", () => process.exit(0));

for (;;) {
  try {
    await engine.start();
    break;
  } catch (error) {
    report(`start: ${messageOf(error)}`);
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}
tell({ type: "ready" });
