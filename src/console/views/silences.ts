/** Silences in the store: list, make, expire. Through the same routes that amtool uses. */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { type Matcher, Refused, type Silence, send } from "../api.ts";
import { mayOperate, refused, useData, useSession } from "../data.ts";
import { html } from "../html.ts";
import { Distance, Empty, Failure, FormDialog, Loading, When } from "../parts.ts";
import { useWords } from "../words.ts";

const HOUR_MS = 3_600_000;
const ORDER = ["active", "pending", "expired"];

export function SilencesView(): VNode {
  const say = useWords();
  const session = useSession();
  const { value, error, reload } = useData<readonly Silence[]>("/api/v2/silences");
  const [isMaking, setMaking] = useState(false);
  const [ended, setEnded] = useState<Silence | null>(null);
  const expire = async (id: string) => {
    try {
      await send("DELETE", `/api/v2/silence/${encodeURIComponent(id)}`);
    } catch (reason) {
      throw refused(reason);
    } finally {
      reload();
    }
  };
  const make = async (values: Readonly<Record<string, string>>) => {
    try {
      await send("POST", "/api/v2/silences", { body: silenceOf(values, session.caller.name) });
    } catch (reason) {
      throw refused(reason);
    }
    reload();
  };
  const activeFirst = [...(value ?? [])].sort((a, b) => ORDER.indexOf(a.status.state) - ORDER.indexOf(b.status.state));
  return html`<section aria-labelledby="silences">
    <div class="title"><h1 id="silences">${say("silences")}</h1>
      ${mayOperate(session) && html`<button type="button" class="main" onClick=${() => setMaking(true)}>${say("newSilence")}</button>`}</div>
    <${Failure} error=${error} />
    ${value === null && error === null && html`<${Loading} />`}
    ${value !== null && value.length === 0 && html`<${Empty} word="noSilences" />`}
    ${
      isMaking &&
      html`<${FormDialog} title=${say("newSilence")} action=${{ word: "create" }} onDone=${make} onClose=${() => setMaking(false)}
      fields=${[{ name: "matchers", word: "matchers", isLong: true }, { name: "hours", word: "hours", value: "1" }, { name: "comment", word: "comment" }]} />`
    }
    ${
      ended !== null &&
      html`<${FormDialog} title=${`${say("expire")}: ${ended.matchers.map(matcherText).join(", ")}`} action=${{ word: "expire", isGrave: true }}
      fields=${[]} asksName=${false} onDone=${() => expire(ended.id)} onClose=${() => setEnded(null)}><p class="quiet">${say("expireHint")}</p><//>`
    }
    <ul class="cards">
      ${activeFirst.map(
        (silence) => html`<li class=${`card silence-${silence.status.state}`} key=${silence.id}>
        <h2><code class="wrap">${silence.matchers.map(matcherText).join(", ")}</code></h2>
        <p>${silence.comment} <span class="quiet">${silence.createdBy}</span></p>
        <p class="quiet"><span class="state">${say(silence.status.state)}</span> <${When} at=${silence.startsAt} /> – <${When} at=${silence.endsAt} /> (<${Distance} at=${silence.endsAt} />)</p>
        ${mayOperate(session) && silence.status.state !== "expired" && html`<button type="button" class="small" onClick=${() => setEnded(silence)}>${say("expire")}</button>`}
      </li>`,
      )}
    </ul>
  </section>` as VNode;
}

export function matcherText({ name, value, isRegex, isEqual = true }: Matcher): string {
  const operator = isRegex ? (isEqual ? "=~" : "!~") : isEqual ? "=" : "!=";
  return `${name}${operator}${JSON.stringify(value)}`;
}

/** One matcher after the other: `name="value"`, separated by commas or line breaks. */
export function matchersOf(text: string): Matcher[] {
  const pattern = /\s*([^\s=!~,{}"]+)\s*(=~|!~|!=|=)\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,{}"]*))\s*(?:,|\n|$)/gy;
  const found: Matcher[] = [];
  let end = 0;
  for (const match of text
    .trim()
    .replace(/^\{|\}$/g, "")
    .matchAll(pattern)) {
    const [whole, name = "", operator = "=", quoted, bare = ""] = match;
    end = match.index + whole.length;
    const value = quoted === undefined ? bare : quoted.replace(/\\(["\\])/g, "$1").replaceAll("\\n", "\n");
    found.push({ name, value, isRegex: operator.endsWith("~"), isEqual: !operator.startsWith("!") });
  }
  const rest = text
    .trim()
    .replace(/^\{|\}$/g, "")
    .slice(end);
  if (found.length === 0 || rest !== "")
    throw new Refused(
      400,
      `Write matchers as name="value", separated by commas. This cannot be read: ${rest.slice(0, 60)}`,
      {
        code: "MATCHERS",
      },
    );
  return found;
}

function silenceOf(values: Readonly<Record<string, string>>, caller: string | null): object {
  const now = Date.now();
  const hours = Number(values["hours"]);
  if (!(hours > 0))
    throw new Refused(400, `Hours must be a number above 0, not ${values["hours"]}.`, { code: "HOURS" });
  return {
    matchers: matchersOf(values["matchers"] ?? ""),
    startsAt: new Date(now).toISOString(),
    endsAt: new Date(now + hours * HOUR_MS).toISOString(),
    createdBy: caller ?? values["by"],
    comment: values["comment"],
  };
}
