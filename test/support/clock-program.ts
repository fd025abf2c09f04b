/** A program that is done while a day's delay is still scheduled: it ends after its pause, or never. */
import { pause, systemClock } from "../../src/system/system-clock.ts";

systemClock().schedule(86_400_000, () => console.log("a day went by"));
await pause(1);
console.log("paused");
