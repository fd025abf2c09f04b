/** Numbers about those who watch `/v1/events`. */
import { Counter, Gauge, type Registry } from "prom-client";
import type { EventStream } from "../instances/event-stream.ts";

export function viewerMeter(registry: Registry, stream: Pick<EventStream, "viewers" | "cutCount">): void {
  const registers = [registry];
  new Gauge({
    name: "becalm_event_viewers",
    help: "Viewers of /v1/events that are connected.",
    registers,
    collect() {
      this.set(stream.viewers);
    },
  });
  new Counter({
    name: "becalm_event_viewers_cut_total",
    help: "Viewers of /v1/events that were disconnected because they did not read.",
    registers,
    collect() {
      this.reset();
      this.inc(stream.cutCount);
    },
  });
}
