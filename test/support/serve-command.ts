/** `becalm serve` as a child process. */
import { type CommandOptions, type Ended, startBecalm } from "./command.ts";

export type Serving = {
  readonly url: string;
  readonly child: ReturnType<typeof startBecalm>["child"];
  readonly ended: Promise<Ended>;
  /** What it has said on stderr so far. */
  said(): string;
};

/** Resolves when the ready line is there. Rejects with what the command said when it ended instead. */
export async function startServe(args: readonly string[], options: CommandOptions = {}): Promise<Serving> {
  const { child, ended } = startBecalm(["serve", "--listen", "127.0.0.1:0", ...args], options);
  let said = "";
  const ready = new Promise<string>((resolve) => {
    child.stderr?.on("data", (piece: string) => {
      said += piece;
      const url = /^becalm: listening on (\S+)$/m.exec(said)?.[1];
      if (url !== undefined) resolve(url);
    });
  });
  const failed = ended.then(({ code }) => {
    throw new Error(`serve ended with ${code}: ${said}`);
  });
  failed.catch(() => {});
  return { url: await Promise.race([ready, failed]), child, ended, said: () => said };
}

export async function stopServe({ child, ended }: Serving): Promise<Ended> {
  child.kill("SIGTERM");
  return ended;
}
