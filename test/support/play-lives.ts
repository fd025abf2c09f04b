/** Plays one storm to the engines and to the slow model, and compares them after every step. */
import assert from "node:assert/strict";
import type { Store } from "../../src/stores/store.ts";
import { faultsIn } from "./audited-namespace.ts";
import { LIFE_START_MS, type LifeMove } from "./life-storms.ts";
import { type LifeSetting, LifeWorld } from "./life-world.ts";
import { SlowLife } from "./slow-life.ts";
import type { Life, LifeForm, LifeRow, LifeSilence } from "./slow-life-types.ts";

export type LifePlay = {
  readonly setting: LifeSetting;
  readonly storm: readonly LifeMove[];
  readonly engines: number;
  readonly connect: () => Store;
};

export async function playLives({ setting, storm, engines, connect }: LifePlay): Promise<void> {
  const world = new LifeWorld(setting, LIFE_START_MS);
  const silences = setting.silences.map((silence) => ({ ...silence }));
  try {
    await world.start(connect, engines);
    const model = new SlowLife(setting.policies, { nowMs: world.clock.now(), silences, limits: setting.limits });
    const play = new Play(world, model);
    const store = connect();
    await store.open({});
    for (const [index, move] of storm.entries()) {
      const what = `${index}: ${JSON.stringify(move)}`;
      await play.passes(move.afterMs);
      await play.compare(`before ${what}`);
      const [isTaken, mayBe] = (await play.take(move)) ?? [true, true];
      assert.equal(isTaken, mayBe, what);
      await play.compare(`after ${what}`);
      same(await faultsIn(store), [], `after ${what}: what an audit finds`);
    }
    await play.compareAll();
  } finally {
    await world.stop();
  }
}

class Play {
  readonly #world: LifeWorld;
  readonly #model: SlowLife;
  readonly #made: LifeSilence[] = [];

  constructor(world: LifeWorld, model: SlowLife) {
    this.#world = world;
    this.#model = model;
  }

  async passes(ms: number): Promise<void> {
    this.#model.timePasses(ms);
    await this.#world.passes(ms);
  }

  async compare(what: string): Promise<void> {
    same(await this.#world.rows(), this.#model.lives.map(rowOf), what);
    const begun = this.#model.begun.map(({ life, attempt }) => `${life.id} ${attempt}`);
    same(this.#world.begun.toSorted(), begun.sort(), `${what}: attempts`);
  }

  async compareAll(): Promise<void> {
    for (const { id, path, labels } of this.#model.lives) {
      same(await this.#world.pathOf(id), path, `path of ${labels.alertname}`);
    }
    same(this.#world.requests.toSorted(), this.#model.requests.toSorted(), "approval requests");
    same(this.#world.summaries.toSorted(), this.#model.summaries.toSorted(), "summaries");
  }

  /** Whether the program took it, and whether the model did. */
  async take(move: LifeMove): Promise<readonly [boolean, boolean] | null> {
    const { at, kind } = move;
    const [world, model] = [this.#world, this.#model];
    if (kind === "fires") return this.#fires(move);
    if (kind === "resolves") {
      for (const labels of move.alerts) model.resolves(labels);
      await world.receives(at, move.alerts, { status: "resolved", form: this.#formOf(move) });
    } else if (kind === "ends attempt") {
      const running = model.lives.filter(({ state, isVerifying }) => state === "Processing" && !isVerifying);
      const life = running[move.target % running.length];
      if (life === undefined) return null;
      if (move.isSuccess) model.done(life);
      else model.failed(life);
      await world.ends(life.id, life.attempts, move.isSuccess);
    } else if (kind === "pauses") {
      return [await world.pauses(at, move.scope), model.pauses(move.scope)];
    } else if (kind === "resumes") {
      return [await world.resumes(at, move.scope, move.how), model.resumes(move.scope, move.how)];
    } else if (kind === "silences" || kind === "expires") {
      await this.#silence(move);
      // Processes that did not make it follow within two seconds.
      if (world.engines.length > 1) await this.passes(3_000);
    } else if (kind === "restarts") {
      // An attempt that a process had to give back waits for the end of a pause.
      // And for some time after its start an engine lets no lease run out.
      if (model.isAnyPaused || world.hasLeases) return null;
      await world.restarts(at);
      // What it had under way is begun again.
      await this.passes(3_000);
    } else if (kind !== "passes") return this.#answer(move);
    return null;
  }

  async #fires(move: LifeMove & { kind: "fires" }): Promise<null> {
    const form = this.#formOf(move);
    const made = move.alerts.flatMap((labels) => this.#model.fires(labels, form));
    const ids = await this.#world.receives(move.at, move.alerts, { status: "firing", form });
    assert.equal(ids.length, made.length, "how many instances were made");
    for (const [index, life] of made.entries()) life.id = ids[index] as string;
    return null;
  }

  #formOf({ form }: LifeMove): LifeForm {
    return this.#world.hasLeases ? form : "v4";
  }

  async #silence(move: LifeMove & { kind: "silences" | "expires" }): Promise<void> {
    const { nowMs } = this.#model;
    if (move.kind === "silences") {
      const silence = { alertname: move.alertname, fromMs: nowMs, toMs: nowMs + move.forMs };
      this.#made.push(silence);
      this.#model.silencesNow(silence);
      await this.#world.silences(move.at, silence);
      return;
    }
    const active = this.#made.filter(({ toMs }) => toMs > nowMs);
    const silence = active[move.target % active.length];
    if (silence === undefined) return;
    this.#model.expires(silence);
    await this.#world.expires(move.at, silence);
  }

  async #answer(move: LifeMove & { readonly target: number }): Promise<readonly [boolean, boolean] | null> {
    const { at, kind } = move;
    const [world, model] = [this.#world, this.#model];
    const life = this.#targetOf(move);
    if (life === undefined) return null;
    const { id } = life;
    if (kind === "grants")
      return [await world.answers(at, { id }, { how: "approve", by: move.by }), model.grants(life, move.by)];
    if (kind === "denies") return [await world.answers(at, { id }, { how: "deny", by: move.by }), model.denies(life)];
    if (kind === "cancels") return [await world.sends(at, id, "cancel"), model.cancels(life)];
    if (kind === "ends") return [await world.sends(at, id, "end"), model.ends(life)];
    if (kind === "runs anyway") return [await world.sends(at, id, "start"), model.runsAnyway(life)];
    if (kind !== "grants group" && kind !== "denies group") return null;
    const group = await world.groupOf(id);
    if (group === null) return null;
    const how = kind === "grants group" ? "approve" : "deny";
    await world.answers(at, { group }, { how, by: move.by });
    model.answersGroup(life, kind === "grants group" ? move.by : null);
    return null;
  }

  /** Mostly somebody whom it concerns; sometimes anybody. */
  #targetOf({ kind, target }: LifeMove & { readonly target: number }): Life | undefined {
    const { lives } = this.#model;
    const states: Readonly<Record<string, readonly string[]>> = {
      grants: ["Waiting"],
      denies: ["Waiting"],
      "grants group": ["Waiting"],
      "denies group": ["Waiting"],
      "runs anyway": ["Skipped", "Idle"],
    };
    const fit = target % 4 === 0 ? lives : lives.filter(({ state }) => states[kind]?.includes(state) ?? true);
    return fit[target % fit.length];
  }
}

function rowOf({ policy, labels, state, reason, attempts, timer }: Life): LifeRow {
  const alert = `${labels.alertname}@${labels.host}`;
  // Which of several silences holds an instance does not matter: the last one decides.
  const armed = timer === null || timer.name === "silence" ? null : `${timer.name} ${timer.dueAtMs}`;
  return { policy: policy.name, alert, state, reason, attempts, timer: armed };
}

/** Says which differ, and after what. */
function same(is: readonly unknown[], shouldBe: readonly unknown[], what: string): void {
  const lines = Array.from({ length: Math.max(is.length, shouldBe.length) }, (_, index) => {
    const [own, other] = [JSON.stringify(is[index]), JSON.stringify(shouldBe[index])];
    return own === other ? [] : [`${index}: is ${own}, should be ${other}`];
  });
  assert.deepEqual(lines.flat(), [], what);
}
