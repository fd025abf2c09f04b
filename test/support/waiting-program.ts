/**
 * A program that has nothing but an engine. `retry`: waits for an attempt that fails once; `late`: for something that never comes;
 * `started`: has an engine running, which it stops after a while.
 */
import { createEngine, errorCode } from "../../src/index.ts";

const [what] = process.argv.slice(2);
let failures = 1;
const engine = createEngine({
  policies: [{ name: "act", match: [], action: { handler: { name: "act" } }, retry: { limit: 1, delay: "200ms" } }],
  handlers: {
    act: async () => {
      if (failures-- > 0) throw new Error("not yet");
    },
  },
});
await engine.start();
const { instances } = await engine.ingest([{ labels: { alertname: "Down" } }]);
const instance = engine.get(instances[0]?.id ?? "");
if (what === "retry") console.log((await instance.waitFor(({ state }) => state === "Success")).attempt);
if (what === "late")
  await instance.waitFor(() => false, { timeoutMs: 300 }).catch((error: unknown) => console.log(errorCode(error)));
if (what !== "started") await engine.stop();
else {
  // Nobody awaits anything: the engine alone is what is left.
  engine.get(instances[0]?.id ?? "").subscribe(({ state }) => {
    console.log(state);
    if (state === "Success") void engine.stop();
  });
}
