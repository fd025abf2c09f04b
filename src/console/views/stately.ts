/**
 * The machine for Stately's editor, which takes code that is pasted. The page itself asks nothing of it: somebody
 * follows the link.
 */
import type { VNode } from "preact";
import { useState } from "preact/hooks";
import { download, getText, type Refused } from "../api.ts";
import { refused } from "../data.ts";
import { html } from "../html.ts";
import { Failure } from "../parts.ts";
import { useWords } from "../words.ts";

const EDITOR_URL = "https://stately.ai/editor";

export function StatelyFact(): VNode {
  const say = useWords();
  const [isCopied, setCopied] = useState(false);
  const [error, setError] = useState<Refused | null>(null);
  const save = () => download("/v1/machine", "action-instance.machine.js");
  const copy = async () => {
    // There is no clipboard where the page did not come over TLS or from this machine, and the browser may refuse it:
    // then it is a file.
    if (navigator.clipboard === undefined) return save();
    const text = await getText("/v1/machine");
    await navigator.clipboard.writeText(text).then(() => setCopied(true), save);
  };
  const copyIt = () =>
    copy().then(
      () => setError(null),
      (reason: unknown) => setError(refused(reason)),
    );
  return html`<dt>Stately</dt><dd><button type="button" class="small" onClick=${copyIt}>${isCopied ? `✓ ${say("copied")}` : say("statelyCopy")}</button>${" "}
    <a href=${EDITOR_URL} target="_blank" rel="noopener noreferrer">${say("statelyOpen")}</a> <span class="quiet">${say("statelyHint")}</span><${Failure} error=${error} /></dd>` as VNode;
}
