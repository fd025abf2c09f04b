/** A program that has a delay scheduled, and another one that it has cancelled: it ends when the first has fired. */
import { systemClock } from "../../src/system/system-clock.ts";

const clock = systemClock();
clock.schedule(86_400_000, () => console.log("a day went by"))();
clock.schedule(100, () => console.log("fired"));
console.log("scheduled");
