/** An auditor: whatever is changed in a trail afterwards, `verifyChain` finds. A trail that nobody has touched is whole for it. */
import { verifyChain } from "../../src/instance/audit.ts";
import { splitLine } from "../../src/instance/history-lines.ts";
import type { StoredTrail, Violation } from "./recording.ts";
import type { Evidence } from "./trails.ts";

const CHECKER = "auditor";
const OTHER_HASH = "0".repeat(43);

type Forgery = { readonly what: string; readonly lines: readonly string[] };

export function auditorFinds({ instances }: Evidence): Violation[] {
  return instances.flatMap((stored) => {
    const head = stored.value.slice(0, stored.value.indexOf(" "));
    const found: Violation[] = [];
    const fault = verifyChain(stored.lines, head);
    if (fault !== null) found.push({ checker: CHECKER, what: `${stored.id}: line ${fault.line} ${fault.what}` });
    for (const { what, lines } of forgeries(stored)) {
      if (verifyChain(lines, head) === null)
        found.push({ checker: CHECKER, what: `${stored.id}: ${what} is not found` });
    }
    return found;
  });
}

function forgeries({ lines }: StoredTrail): Forgery[] {
  const last = lines.at(-1) ?? "";
  const forged: Forgery[] = [
    { what: "a line that was left out", lines: lines.slice(0, -1) },
    {
      what: "a line that was changed",
      lines: [...lines.slice(0, -1), last.replace(/"path":"[^"]*"/, '"path":"Idle>Success"')],
    },
    { what: "a line that was written twice", lines: [...lines, last] },
  ];
  if (lines.length > 2) {
    const { json } = splitLine(last);
    forged.push({ what: "a line bound to another one", lines: [...lines.slice(0, -1), `${OTHER_HASH} ${json}`] });
  }
  return forged.filter((forgery) => forgery.lines.join("\n") !== lines.join("\n"));
}
