/** The pages behind approval links: plain HTML without a script, and nothing from elsewhere. */
import { createHash } from "node:crypto";
import type { Language } from "../../present/sentences.ts";
import { isoTime } from "../../present/time-text.ts";
import type { Question } from "./approval-questions.ts";

const STYLE = `
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif }
body { max-width: 40rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: 1rem 0 } td { padding: .1rem 1rem .1rem 0; vertical-align: top; overflow-wrap: anywhere } td:first-child { min-width: 6rem }
label { display: block; margin: .8rem 0 } input, button { font: inherit; padding: .4rem; box-sizing: border-box } input { width: 100% }
button { padding: .5rem 1.2rem } .deny button { outline: 2px solid }
`;

const HEADERS = {
  "content-type": "text/html; charset=utf-8",
  "content-security-policy": `default-src 'none'; style-src 'sha256-${createHash("sha256").update(STYLE).digest("base64")}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
  "x-content-type-options": "nosniff",
  // Its address is a proof: it goes to nobody else, and a form must say where it comes from.
  "referrer-policy": "same-origin",
  "cache-control": "no-store",
  "x-robots-tag": "noindex",
};

const WORDS = {
  en: {
    approve: "Approve",
    deny: "Deny",
    ask: (verb: string, held: number) => (held === 1 ? `${verb} this?` : `${verb} all ${held}?`),
    policy: "Policy",
    group: "Group",
    instance: "Instance",
    due: "Until",
    held: "Waiting",
    granted: "Granted by",
    by: "Your name",
    why: "Why",
    token: "Your token (then it says who you are)",
    tokenNeeded: "Your token (this needs several people, so each must prove who they are)",
    quorum: (n: number) => `${n} people must approve it.`,
    refused: "Not possible",
    done: "Done",
  },
  zh: {
    approve: "批准",
    deny: "拒绝",
    ask: (verb: string, held: number) => (held === 1 ? `${verb}该请求？` : `${verb}全部 ${held} 个？`),
    policy: "策略",
    group: "分组",
    instance: "实例",
    due: "截止",
    held: "等待中",
    granted: "已批准者",
    by: "您的姓名",
    why: "原因",
    token: "您的令牌（以其身份为准）",
    tokenNeeded: "您的令牌（需多人审批，须证明身份）",
    quorum: (n: number) => `需要 ${n} 人批准。`,
    refused: "无法处理",
    done: "完成",
  },
} as const;

/** `tokens`: whether a token may be typed, or must be. */
export type PageOptions = { readonly language: Language; readonly tokens: "none" | "optional" | "required" };

/** Shows what is asked, with a button that decides it. */
export function questionPage({ claim, ...question }: Question, { language, tokens }: PageOptions): Response {
  const words = WORDS[language];
  const verb = words[claim.verb];
  const { alert } = question.history.birth;
  const rows: [string, string][] = [
    [words.policy, question.history.policy.name],
    claim.group === null ? [words.instance, claim.instance] : [words.group, claim.group],
    [words.held, String(question.held)],
    [words.due, isoTime(claim.dueAtMs)],
    ...(question.grants.length === 0 ? [] : [[words.granted, question.grants.join(", ")] as [string, string]]),
    ...Object.entries(alert?.labels ?? {}),
    ...Object.entries(alert?.annotations ?? {}),
  ];
  const title = words.ask(verb, question.held);
  const quorum = claim.verb === "approve" && question.quorum > 1 ? `<p>${words.quorum(question.quorum)}</p>` : "";
  const isProved = tokens === "required";
  const name = isProved ? "" : field("by", words.by, tokens === "none" ? "required" : "");
  const password = `type=password${isProved ? " required" : ""}`;
  const token = tokens === "none" ? "" : field("token", isProved ? words.tokenNeeded : words.token, password);
  return page(200, {
    language,
    title,
    body: `<p>${escaped(question.sentence?.[language] ?? "")}</p>${table(rows)}${quorum}<form method="post" class="${claim.verb}">${name}${token}${field("why", words.why, "required")}<button>${escaped(verb)}</button></form>`,
  });
}

export type TextPage = { readonly language: Language; readonly text: string };

export function refusedPage(status: number, { language, text }: TextPage): Response {
  return page(status, { language, title: WORDS[language].refused, body: `<p>${escaped(text)}</p>` });
}

export function donePage({ language, text }: TextPage): Response {
  return page(200, { language, title: WORDS[language].done, body: `<p>${escaped(text)}</p>` });
}

function page(status: number, { language, title, body }: { language: Language; title: string; body: string }) {
  const html = `<!doctype html><html lang="${language}"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Becalm: ${escaped(title)}</title><style>${STYLE}</style><h1>${escaped(title)}</h1>${body}</html>\n`;
  return new Response(html, { status, headers: HEADERS });
}

function table(rows: readonly (readonly [string, string])[]): string {
  const cells = rows.map(([name, value]) => `<tr><td>${escaped(name)}</td><td>${escaped(value)}</td></tr>`);
  return `<table>${cells.join("")}</table>`;
}

function field(name: string, label: string, attributes: string): string {
  return `<label>${escaped(label)}<input name="${name}" maxlength="1000" autocomplete="off" ${attributes}></label>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] as string);
}
