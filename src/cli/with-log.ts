/** `--log FILE`: where a command's audit lines and deeds are appended. */
import { type Logger, silentLogger } from "../system/logger.ts";

/** Calls `use` with a logger that appends to a file, or with a silent one. */
export async function withLog<T>(path: string | undefined, use: (logger: Logger) => Promise<T>): Promise<T> {
  if (path === undefined) return use(silentLogger);
  // Loaded only where it is used: it is a fifth of what a command loads.
  const { fileLogger } = await import("../system/pino-logger.ts");
  const logger = fileLogger(path);
  try {
    return await use(logger);
  } finally {
    await logger.close();
  }
}
