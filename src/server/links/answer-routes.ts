/**
 * `/v1/answers/{link}`: GET shows what an approval request asks, POST decides it. A link is a proof of its own, so that
 * whoever looks at it by machine (a chat that shows a preview) decides nothing, and whoever opens it needs no token.
 * The first answer wins; the others are told whose it was.
 */
import type { Engine, Who } from "../../engine.ts";
import { errorCode, messageOf } from "../../model/errors.ts";
import { BY_LINK, hasGranted } from "../../model/person.ts";
import type { Language, Sentence } from "../../present/sentences.ts";
import { mayActAs, type TokenBook } from "../auth/tokens.ts";
import { requireType } from "../http/json-body.ts";
import type { BodyReader } from "../http/request-body.ts";
import type { Ctx, Route } from "../http/route.ts";
import { donePage, questionPage, refusedPage } from "./answer-page.ts";
import { type Question, questionOf, type RefusedLink } from "./approval-questions.ts";
import { ANSWER_PATH, type Links } from "./links.ts";

export type AnswerPorts = {
  readonly engine: Engine;
  readonly links: Links;
  readonly tokens: TokenBook | null;
  readonly bodies: BodyReader;
  readonly now: () => number;
};

const FORM = "application/x-www-form-urlencoded";
const HTML = "text/html";
const REFUSALS = {
  403: { what: "the link was not made here", type: HTML },
  404: { what: "the instance is no longer kept", type: HTML },
  409: { what: "it was decided: by whom, and when", type: HTML },
  410: { what: "the link has expired", type: HTML },
} as const;
const NAME_CHARS_MAX = 200;
const WHY_CHARS_MAX = 4_096;

export function answerRoutes(ports: AnswerPorts): Route[] {
  return [
    {
      method: "GET",
      path: `${ANSWER_PATH}{link}`,
      role: "open",
      summary: "Shows what an approval request asks; the link in it is its proof",
      answers: { 200: { what: "a page with a button", type: HTML }, ...REFUSALS },
      handle: async (c) => {
        const language = languageOf(c);
        const question = await questionOf(linkOf(c), ports);
        if (isRefused(question)) return refusedPage(question.status, { language, text: question.text[language] });
        return questionPage(question, { language, tokens: tokensFor(question, ports) });
      },
    },
    {
      method: "POST",
      path: `${ANSWER_PATH}{link}`,
      role: "open",
      summary: "Decides it",
      body: { types: [FORM], what: "`by`, `why`, or `token` in place of `by`" },
      answers: {
        200: { what: "it is decided", type: HTML },
        400: { what: "something is missing", type: HTML },
        ...REFUSALS,
      },
      handle: (c) => {
        requireType(c, [FORM]);
        return ports.bodies.withBody(c.env.incoming, (body) => answer(c, ports, new URLSearchParams(body.toString())));
      },
    },
  ];
}

function linkOf(c: Ctx): string {
  return c.req.param("link") ?? "";
}

function isRefused(question: Question | RefusedLink): question is RefusedLink {
  return "status" in question;
}

/** Where several people must agree, and people have tokens, a name that somebody types is not enough. */
function tokensFor({ claim, quorum }: Question, { tokens }: AnswerPorts): "none" | "optional" | "required" {
  if (tokens === null) return "none";
  return claim.verb === "approve" && quorum > 1 ? "required" : "optional";
}

async function answer(c: Ctx, ports: AnswerPorts, form: URLSearchParams): Promise<Response> {
  const language = languageOf(c);
  const question = await questionOf(linkOf(c), ports);
  if (isRefused(question)) return refusedPage(question.status, { language, text: question.text[language] });
  const who = whoIn(form, question, ports);
  if ("status" in who) return refusedPage(who.status, { language, text: who.text[language] });
  const { claim } = question;
  if (claim.verb === "approve" && hasGranted(question.grants, who.by))
    return refusedPage(409, { language, text: TWICE[language] });
  const target = claim.group === null ? { id: claim.instance } : { group: claim.group };
  try {
    const decided = await ports.engine[claim.verb](target, who);
    const counted = decided.filter(({ state }) => state === "Waiting").length;
    return donePage({ language, text: doneText(question, { who, decided: decided.length, counted })[language] });
  } catch (error) {
    const code = errorCode(error);
    if (code !== "BECALM_EVENT_REFUSED" && code !== "BECALM_NOT_FOUND") throw error;
    // Somebody else was faster.
    const now = await questionOf(linkOf(c), ports);
    const text = isRefused(now) ? now.text[language] : messageOf(error);
    return refusedPage(409, { language, text });
  }
}

type Unknown = { readonly status: 400 | 403; readonly text: Sentence };

function whoIn(form: URLSearchParams, question: Question, ports: AnswerPorts): Who | Unknown {
  const [token, by, why] = ["token", "by", "why"].map((name) => (form.get(name) ?? "").trim().replace(/\s+/g, " "));
  if (why === undefined || why === "" || why.length > WHY_CHARS_MAX) return { status: 400, text: NO_REASON };
  if (token !== undefined && token !== "" && ports.tokens !== null) {
    const caller = ports.tokens.callerOf(token);
    if (caller === null || caller.name === null || !mayActAs(caller, "operate")) return { status: 403, text: NO_TOKEN };
    return { by: caller.name, why };
  }
  if (tokensFor(question, ports) === "required") return { status: 403, text: NO_TOKEN };
  if (by === undefined || by === "" || by.length > NAME_CHARS_MAX) return { status: 400, text: NO_NAME };
  return { by: `${by}${BY_LINK}`, why };
}

const NO_NAME: Sentence = { en: "Say who you are.", zh: "请填写姓名。" };
const NO_REASON: Sentence = { en: "Say why.", zh: "请填写原因。" };
const NO_TOKEN: Sentence = {
  en: "The token is missing, unknown, or may not answer.",
  zh: "令牌缺失、未知或无权审批。",
};
const TWICE: Sentence = {
  en: "You have approved it already. It needs another person.",
  zh: "您已批准过，还需其他人批准。",
};

type Outcome = { readonly who: Who; readonly decided: number; readonly counted: number };

function doneText({ claim, quorum, grants }: Question, { who, decided, counted }: Outcome): Sentence {
  if (counted > 0) {
    const left = Math.max(quorum - grants.length - 1, 1);
    return { en: `Counted for ${who.by}. It needs ${left} more.`, zh: `已记录 ${who.by} 的批准，还需 ${left} 人。` };
  }
  const [en, zh] = claim.verb === "approve" ? ["approved", "批准"] : ["denied", "拒绝"];
  return { en: `${who.by} ${en} ${decided}.`, zh: `${who.by} 已${zh} ${decided} 个。` };
}

/** The first of the browser's languages that is one of ours. */
function languageOf(c: Ctx): Language {
  const asked = (c.req.header("accept-language") ?? "").toLowerCase().split(",");
  const known = asked.map((one) => one.trim().slice(0, 2)).find((one) => one === "en" || one === "zh");
  return known === "zh" ? "zh" : "en";
}
