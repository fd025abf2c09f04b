/**
 * The machine for Stately's editor, which takes code that is pasted. The page itself asks nothing of it: somebody
 * follows the link.
 */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { download, getText } from "../api.ts";
import { html } from "../html.ts";
import { useWords } from "../words.ts";

const EDITOR_URL = "https://stately.ai/editor";

export function StatelyFact(): VNode {
  const say = useWords();
  const [isCopied, setCopied] = useState(false);
  const copy = async () => {
    // There is no clipboard where the page did not come over TLS or from this machine: then it is a file.
    if (navigator.clipboard === undefined) return download("/v1/machine", "action-instance.machine.js");
    await navigator.clipboard.writeText(await getText("/v1/machine"));
    setCopied(true);
  };
  return html`<dt>Stately</dt><dd><button type="button" class="small" onClick=${() => void copy().catch(() => setCopied(false))}>${isCopied ? `✓ ${say("copied")}` : say("statelyCopy")}</button>${" "}
    <a href=${EDITOR_URL} target="_blank" rel="noopener noreferrer">${say("statelyOpen")}</a> <span class="quiet">${say("statelyHint")}</span></dd>` as VNode;
}
