/** The emergency stop: said who, why and since when it holds; lifted in the two ways that the server knows. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { type Pause, send } from "../api.ts";
import { mayOperate, refused, useSession } from "../data.ts";
import { html } from "../html.ts";
import { FormDialog, When } from "../parts.ts";
import { useWords } from "../words.ts";

type Act = "pause" | "resume" | "resumeDecide";

export function PauseControl(): VNode | null {
  const say = useWords();
  const session = useSession();
  const [act, setAct] = useState<Act | null>(null);
  const pauses = session.pauses ?? [];
  const mayAct = mayOperate(session);
  const done = async (values: Readonly<Record<string, string>>) => {
    try {
      if (act === "pause") await send("PUT", "/v1/pause", { body: values });
      else await send("DELETE", act === "resumeDecide" ? "/v1/pause?decide=true" : "/v1/pause", { body: values });
    } catch (error) {
      throw refused(error);
    }
    session.refresh();
  };
  return html`<div class="pause">
    ${pauses.map(
      (
        pause: Pause,
      ) => html`<p class="paused" role="status"><b>${say("paused")}${pause.policy !== null && `: ${pause.policy}`}</b>
      ${pause.why} <span>${say("pausedBy")} ${pause.by}, <${When} at=${pause.since} /></span></p>`,
    )}
    ${mayAct && pauses.length === 0 && html`<button type="button" class="grave" onClick=${() => setAct("pause")}>${say("pause")}</button>`}
    ${
      mayAct &&
      pauses.length > 0 &&
      html`<button type="button" onClick=${() => setAct("resume")}>${say("resume")}</button>
      <button type="button" class="main" onClick=${() => setAct("resumeDecide")}>${say("resumeDecide")}</button>`
    }
    ${
      act !== null &&
      html`<${FormDialog} title=${say(act)} action=${{ word: act, isGrave: act === "pause" }}
      fields=${[{ name: "why", word: "why", isLong: true }]} onDone=${done} onClose=${() => setAct(null)} />`
    }
  </div>` as VNode;
}
