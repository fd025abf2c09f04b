/** A program that logs to stderr and then tells on the file descriptor given to it that it came to its end. */
import { writeSync } from "node:fs";
import { fileLogger } from "../../src/system/pino-logger.ts";

const logger = fileLogger("-");
for (let number = 0; number < 1_000; number += 1) logger.info({ number }, "counted");
await logger.close();
writeSync(Number(process.argv[2]), "done\n");
