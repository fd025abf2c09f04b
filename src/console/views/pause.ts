/** The emergency stop: said who, why and since when it holds; lifted in the two ways that the server knows. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { type Pause, send } from "../api.ts";
import { mayOperate, refused, useSession } from "../data.ts";
import { html } from "../html.ts";
import { FormDialog, When } from "../parts.ts";
import { useWords, type Word } from "../words.ts";

type Act = "pause" | "resume" | "resumeDecide";

const HINTS: Readonly<Record<Act, Word>> = {
  pause: "pauseHint",
  resume: "resumeHint",
  resumeDecide: "resumeDecideHint",
};

/** On every page while something is stopped. */
export function PauseBanner(): VNode | null {
  const say = useWords();
  const session = useSession();
  const [lifted, setLifted] = useState<{ act: Act; pause: Pause } | null>(null);
  const pauses = session.pauses ?? [];
  return html`${pauses.map(
    (pause) => html`<div class="paused">
    <p role="status"><b>${pause.policy === null ? say("paused") : `${say("pausedPolicy")} ${pause.policy}`}</b> ${pause.why}
      <span class="quiet">${say("pausedBy")} ${say.who(pause.by)}, <${When} at=${pause.since} /></span></p>
    ${
      mayOperate(session) &&
      html`<span class="buttons"><button type="button" onClick=${() => setLifted({ act: "resume", pause })}>${say("resume")}</button>
      <button type="button" class="main" onClick=${() => setLifted({ act: "resumeDecide", pause })}>${say("resumeDecide")}</button></span>`
    }
  </div>`,
  )}${lifted !== null && html`<${PauseDialog} act=${lifted.act} policy=${lifted.pause.policy} onClose=${() => setLifted(null)} />`}` as VNode;
}

/** Stops everything. */
export function PauseButton(): VNode | null {
  const say = useWords();
  const session = useSession();
  const [isAsked, setAsked] = useState(false);
  const isStopped = session.pauses === null || session.pauses.some(({ policy }) => policy === null);
  if (isStopped || !mayOperate(session)) return null;
  return html`<button type="button" class="grave" onClick=${() => setAsked(true)}>${say("pause")}</button>
    ${isAsked && html`<${PauseDialog} act="pause" policy=${null} onClose=${() => setAsked(false)} />`}` as VNode;
}

type DialogProps = { readonly act: Act; readonly policy: string | null; readonly onClose: () => void };

function PauseDialog({ act, policy, onClose }: DialogProps): VNode {
  const say = useWords();
  const session = useSession();
  const done = async (values: Readonly<Record<string, string>>) => {
    const body = policy === null ? values : { ...values, policy };
    try {
      if (act === "pause") await send("PUT", "/v1/pause", { body });
      else await send("DELETE", act === "resumeDecide" ? "/v1/pause?decide=true" : "/v1/pause", { body });
    } catch (error) {
      throw refused(error);
    }
    session.refresh();
  };
  return html`<${FormDialog} title=${say(act)} action=${{ word: act, isGrave: act === "pause" }}
    fields=${[{ name: "why", word: "why", isLong: true }]} onDone=${done} onClose=${onClose}><p class="quiet">${say(HINTS[act])}</p><//>` as VNode;
}
