/**
 * Plays histories to a server at the pace at which they happened, or another.
 *
 * P1 steps are told in order of their times; ties in the order in which they were given. P2 nothing is told while it is
 * paused.
 */
import type { Clock } from "../system/clock.ts";
import type { InspectServer, PlayCommand } from "./inspect-server.ts";
import type { InspectedChange, InspectedCommit } from "./inspected.ts";

/** Nobody watches an hour pass: a longer pause, at the chosen speed, is cut to this. */
export const GAP_MS_MAX = 3_000;

export type PlayerOptions = { readonly clock: Clock; readonly speed: number; readonly onEnd?: () => void };

export class Player {
  readonly #server: InspectServer;
  readonly #steps: readonly InspectedCommit[];
  readonly #options: PlayerOptions;
  #speed: number;
  #told = 0;
  #rounds = 0;
  #isPaused = true;
  #cancel: () => void = () => {};

  constructor(server: InspectServer, histories: readonly (readonly InspectedCommit[])[], options: PlayerOptions) {
    this.#server = server;
    this.#options = options;
    this.#speed = options.speed;
    this.#steps = histories.flat().sort((a, b) => timeOf(a) - timeOf(b));
    server.onPlayCommand((command) => this.take(command));
    this.#announce();
  }

  play(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    this.#announce();
    this.#next();
  }

  pause(): void {
    this.#cancel();
    this.#isPaused = true;
    this.#announce();
  }

  take(command: PlayCommand): void {
    if (command.command === "play") this.play();
    else if (command.command === "pause") this.pause();
    else if (command.command === "restart") this.#restart();
    else if (command.command === "speed") this.#setSpeed(command.speed);
  }

  #restart(): void {
    this.pause();
    this.#told = 0;
    this.#rounds += 1;
    this.play();
  }

  #setSpeed(speed: number): void {
    this.#speed = speed;
    const wasPaused = this.#isPaused;
    this.pause();
    if (!wasPaused) this.play();
  }

  /** Tells the next step and waits as long as was waited for the one after it. */
  #next(): void {
    const step = this.#steps[this.#told];
    if (step === undefined) {
      this.#end();
      return;
    }
    this.#server.replayed([this.#inRound(step)]);
    this.#told += 1;
    this.#announce();
    const following = this.#steps[this.#told];
    if (following === undefined) {
      this.#end();
      return;
    }
    const gapMs = Math.max(timeOf(following) - timeOf(step), 0) / this.#speed;
    this.#cancel = this.#options.clock.schedule(Math.min(gapMs, GAP_MS_MAX), () => this.#next());
  }

  #end(): void {
    this.#isPaused = true;
    this.#announce();
    this.#options.onEnd?.();
  }

  /** Versions go on rising from round to round: a viewer takes what it has seen before as new. */
  #inRound(commit: InspectedCommit): InspectedCommit {
    const offset = this.#rounds * (this.#steps.length + 1);
    const changes = commit.changes.map(
      (change): InspectedChange => ({
        ...change,
        instance: { ...change.instance, version: change.instance.version + offset },
      }),
    );
    return { group: commit.group, changes };
  }

  #announce(): void {
    const atMs = this.#told === 0 ? null : timeOf(this.#steps[this.#told - 1] as InspectedCommit);
    this.#server.announce({
      isPaused: this.#isPaused,
      told: this.#told,
      total: this.#steps.length,
      speed: this.#speed,
      atMs,
    });
  }
}

function timeOf({ changes }: InspectedCommit): number {
  return changes[0]?.instance.atMs ?? 0;
}
