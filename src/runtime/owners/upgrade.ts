/**
 * How this process goes over to the format that its namespace is raised to: while it runs, and together with all
 * others.
 *
 * After each beat a process reads the namespace's format. If that has risen, it lets the requests that are under way
 * end, decides by the new format from then on, says so with its next beat, and keeps new alerts waiting until nobody
 * who lives decides by an earlier one. Otherwise one alert would be two: to each format it is another instance.
 *
 * U1 whoever begins says what it decides by, and then reads the format; whoever raises writes the format, and then
 * hears who lives. So one of two that meet sees the other. U2 alerts wait for others for HELD_MS_MAX at most; who has
 * not gone over by then is named in the log. U3 who has not been heard of for a lease hears of the format before it
 * takes another alert. What such a process was deciding when it stood still, it may still decide by the earlier format.
 */
import { BecalmError, errorCode, messageOf } from "../../model/errors.ts";
import { NAMESPACE_FORMAT, RAISED_FORMAT } from "../../stores/store.ts";
import type { Logger } from "../../system/logger.ts";
import { actBy } from "../namespace.ts";
import { namesBehind, raiseFormat } from "../raise-format.ts";
import type { Runtime } from "../runtime.ts";
import { MEMBER_LEASE_MS, type Membership, readMembers } from "./membership.ts";

/** Whoever has died is no longer a member by then. */
const HELD_MS_MAX = MEMBER_LEASE_MS + 4_000;
/** While alerts wait. */
const LOOKED_AT_EVERY_MS = 100;

/**
 * `deciding`: alerts are taken. `ending`: the namespace was raised; earlier requests end, others wait. `waiting`: it
 * decides by the raised format, and waits for those that do not yet. `outdated`: it cannot go over.
 */
type State = "deciding" | "ending" | "waiting" | "outdated";

/** A request that waits. */
type Waiter = { readonly goOn: () => void; readonly refuse: (error: BecalmError) => void };

export type UpgradeOptions = {
  /** Says that this process lives, and hears who does; answers when to do so again. */
  readonly beat: () => Promise<number>;
  /** null: there can be no other process. */
  readonly membership: Pick<Membership, "living" | "heardAtMs" | "tellOthers"> | null;
  /** It raises the namespace itself as soon as all who live understand that. */
  readonly raises: boolean;
  readonly logger: Logger;
  /** Beat now. */
  readonly onLook: () => void;
  /** This process must leave the namespace. */
  readonly onOutdated: () => void;
};

export class Upgrade {
  readonly #runtime: Runtime;
  readonly #options: UpgradeOptions;
  #state: State = "deciding";
  /** Requests that are being decided. */
  #underWay = 0;
  readonly #waiters: Waiter[] = [];
  /** Why what waits is refused; null: it is not. */
  #refusal: BecalmError | null = null;
  #outdated: BecalmError | null = null;
  #hasJoined = false;
  #heldSinceMs = 0;
  /** Of the namespace, as it was last read. */
  #format: number;
  #raising: Promise<void> | null = null;
  /** Who keeps the namespace from being raised, as the log has it. */
  #toldBehind = "";
  #toldFailure = "";

  constructor(runtime: Runtime, options: UpgradeOptions) {
    this.#runtime = runtime;
    this.#options = options;
    this.#format = runtime.format.acting;
  }

  /** Runs what decides the alerts of a request, as soon as they may be taken. */
  async deciding<Result>(decide: () => Promise<Result>): Promise<Result> {
    if (this.#isForgotten) this.#hold("waiting");
    while (this.#state !== "deciding") await this.#wait();
    this.#underWay += 1;
    try {
      return await decide();
    } finally {
      this.#underWay -= 1;
      this.#goOverIfIdle();
    }
  }

  /**
   * Says that this process lives, before it begins. A store that does not answer is asked again by the next beat.
   * @throws BECALM_NAMESPACE_NEWER if the namespace was raised since it was opened, beyond what this version understands
   */
  async join(): Promise<void> {
    this.#hasJoined = true;
    // Where nothing earlier ever was, nobody decides by it.
    if (this.#format < NAMESPACE_FORMAT) this.#hold("waiting");
    await this.beat().catch(() => {});
    this.requireUnderstood();
  }

  /** Hears who lives, and which format the namespace has. Answers when to call it again, in ms. */
  async beat(): Promise<number> {
    try {
      const nextMs = await this.#options.beat();
      await this.#look();
      return this.#state === "deciding" ? nextMs : Math.min(nextMs, LOOKED_AT_EVERY_MS);
    } catch (error) {
      // Alerts are refused for what the store answers, rather than kept waiting.
      if (this.#isOverdue) this.#goOn();
      if (errorCode(error) === "BECALM_NAMESPACE_NEWER") this.#leave(error as BecalmError);
      throw error;
    }
  }

  /** Why this process had to leave the namespace; null: it did not. */
  get outdated(): BecalmError | null {
    return this.#outdated;
  }

  /** @throws BECALM_NAMESPACE_NEWER once this process had to leave the namespace */
  requireUnderstood(): void {
    if (this.#outdated !== null) throw this.#outdated;
  }

  /** What waits is refused. */
  stop(): void {
    this.#refuse(new BecalmError("BECALM_STOPPED", "This process stops. Send the alerts to another one."));
  }

  /** What this process wrote from now on, others would misread. */
  #leave(error: BecalmError): void {
    if (this.#outdated !== null) return;
    this.#outdated = error;
    this.#state = "outdated";
    this.#refuse(error);
    this.#options.onOutdated();
  }

  #refuse(error: BecalmError): void {
    this.#refusal ??= error;
    for (const { refuse } of this.#waiters.splice(0)) refuse(error);
  }

  async #look(): Promise<void> {
    const { format, store } = this.#runtime;
    const info = await store.open({});
    this.#format = Math.max(this.#format, info?.format ?? 0);
    // A server that has lost its last writes, or another one in its place.
    if (info !== null && info.format < format.acting) await store.raiseFormat(format.acting);
    if (this.#state === "outdated") return;
    if (this.#format > format.acting && this.#state !== "ending") this.#hold("ending");
    else if (this.#state === "waiting") this.#goOnIfAll();
    this.#goOverIfIdle();
    if (this.#options.raises) this.#raiseIfAll();
  }

  async #wait(): Promise<void> {
    if (this.#refusal !== null) throw this.#refusal;
    await new Promise<void>((goOn, refuse) => this.#waiters.push({ goOn, refuse }));
  }

  /** Others may take it for dead, and have gone over without it. */
  get #isForgotten(): boolean {
    const { membership } = this.#options;
    const { format, clock } = this.#runtime;
    if (membership === null || !this.#hasJoined || format.acting >= RAISED_FORMAT) return false;
    return this.#state === "deciding" && clock.now() - membership.heardAtMs >= MEMBER_LEASE_MS;
  }

  #hold(state: State): void {
    if (this.#state === "deciding") this.#heldSinceMs = this.#runtime.clock.now();
    this.#state = state;
    this.#options.onLook();
  }

  #goOverIfIdle(): void {
    if (this.#state !== "ending" || this.#underWay > 0) return;
    this.#state = "waiting";
    actBy(this.#runtime, this.#format);
    const what = `The namespace was raised: this process decides by format ${this.#format} from now on`;
    this.#options.logger.info({ format: this.#format }, what);
    void this.#options.membership?.tellOthers();
    this.#options.onLook();
  }

  /** As the beat before this look has heard: it began after the format was read. */
  #goOnIfAll(): void {
    const living = this.#options.membership?.living ?? [];
    const { acting } = this.#runtime.format;
    const late = readMembers(living).flatMap(({ record }) => (record.format < acting ? record.name : []));
    if (late.length > 0 && !this.#isOverdue) return;
    const what = `${late.join(", ")} did not go over to format ${acting}: an alert that reaches both may be acted on twice. Stop it, or bring it to this version`;
    if (late.length > 0) this.#options.logger.error({ format: acting, late }, what);
    this.#goOn();
  }

  get #isOverdue(): boolean {
    return this.#state !== "deciding" && this.#runtime.clock.now() - this.#heldSinceMs >= HELD_MS_MAX;
  }

  #goOn(): void {
    if (this.#state !== "waiting") return;
    this.#state = "deciding";
    for (const { goOn } of this.#waiters.splice(0)) goOn();
  }

  /** One of those that may raise it does so: the others would only do the same work again. */
  #raiseIfAll(): void {
    const { format, owner } = this.#runtime;
    const living = this.#options.membership?.living ?? [];
    const first = readMembers(living).find(({ record }) => record.raises === true);
    if (this.#raising !== null || format.acting >= RAISED_FORMAT || (first?.id ?? owner) !== owner) return;
    const behind = namesBehind(living, RAISED_FORMAT).join(", ");
    const what = `The namespace is raised to format ${RAISED_FORMAT} when ${behind} understands it or is gone`;
    if (behind !== "" && behind !== this.#toldBehind) this.#options.logger.info({ format: format.acting }, what);
    this.#toldBehind = behind;
    if (behind !== "") return;
    this.#raising = this.#raise().finally(() => {
      this.#raising = null;
    });
  }

  async #raise(): Promise<void> {
    const { logger } = this.#options;
    try {
      const { format, ...counts } = await raiseFormat(this.#runtime);
      const what = `This process raised the namespace to format ${format}: ${counts.open} of ${counts.instances} instances are not at rest`;
      logger.info({ format, ...counts }, what);
      this.#options.onLook();
    } catch (error) {
      const what = `The namespace was not raised, and this is tried again: ${messageOf(error)}`;
      if (what !== this.#toldFailure) logger.warn({ err: error }, what);
      this.#toldFailure = what;
    }
  }
}
