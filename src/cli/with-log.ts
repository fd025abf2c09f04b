/** `--log FILE`: where a command's audit lines and deeds are appended. */
import type { Logger } from "../system/logger.ts";
import { fileLogger, silentLogger } from "../system/pino-logger.ts";

/** Calls `use` with a logger that appends to a file, or with a silent one. */
export async function withLog<T>(path: string | undefined, use: (logger: Logger) => Promise<T>): Promise<T> {
  if (path === undefined) return use(silentLogger);
  const logger = fileLogger(path);
  try {
    return await use(logger);
  } finally {
    await logger.close();
  }
}
