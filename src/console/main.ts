/** The console: who looks, what is open, and everything that is shown on each page. */
import { render, type VNode } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { type Approval, type Caller, follow, get, type Pause, type Refused, type Sentence, saveToken } from "./api.ts";
import { refused, type Session, SessionContext, useRead } from "./data.ts";
import { html } from "./html.ts";
import { Failure } from "./parts.ts";
import { hrefOf, type Place, searchQuery, usePlace } from "./route.ts";
import { ApprovalsView } from "./views/approvals.ts";
import { InstanceView } from "./views/instance.ts";
import { InstancesView } from "./views/instances.ts";
import { PauseBanner } from "./views/pause.ts";
import { PoliciesView } from "./views/policies.ts";
import { SilencesView } from "./views/silences.ts";
import { StormView } from "./views/storm.ts";
import { type Language, LanguageContext, storedLanguage, storeLanguage, useWords, type Word } from "./words.ts";

const PAGES = ["storm", "instances", "approvals", "silences", "policies"] as const satisfies readonly Word[];

/** A storm commits thousands of steps a second: pages read again at most this often. */
const BEAT_MS = 1_000;
/** What has no step of its own, such as a pause or a silence of another process. */
const IDLE_BEAT_MS = 15_000;
/** Approvals that are counted and shown. */
const APPROVAL_COUNT_MAX = 1_000;

function App(): VNode {
  const [language, setLanguage] = useState<Language>(storedLanguage);
  const [caller, setCaller] = useState<Caller | null>(null);
  const [error, setError] = useState<Refused | null>(null);
  const enter = useCallback(() => {
    get<Caller>("/v1/whoami").then(
      (who) => {
        setError(null);
        setCaller(who);
      },
      (reason: unknown) => setError(refused(reason)),
    );
  }, []);
  useEffect(enter, [enter]);
  useEffect(() => {
    document.documentElement.lang = language;
    storeLanguage(language);
  }, [language]);
  return html`<${LanguageContext.Provider} value=${language}>
    ${caller !== null ? html`<${Frame} caller=${caller} language=${language} onLanguage=${setLanguage} />` : html`<${Door} error=${error} onToken=${enter} />`}
  <//>` as VNode;
}

/** A server with tokens asks for one first. It is kept for this tab only. */
function Door({ error, onToken }: { error: Refused | null; onToken: () => void }): VNode | null {
  const say = useWords();
  if (error === null) return null;
  const submit = (event: SubmitEvent) => {
    event.preventDefault();
    const token = new FormData(event.target as HTMLFormElement).get("token");
    if (typeof token === "string") saveToken(token.trim());
    onToken();
  };
  if (error.status !== 401 && error.status !== 403) return html`<main><${Failure} error=${error} /></main>` as VNode;
  return html`<main class="door"><form onSubmit=${submit}><h1>Becalm</h1><p>${say("token")}</p>
    <label>${say("tokenField")} <input name="token" type="password" required autocomplete="off" /></label>
    <${Failure} error=${error.status === 403 ? error : null} />
    <div class="buttons"><button class="main">${say("signIn")}</button></div></form></main>` as VNode;
}

type FrameProps = {
  readonly caller: Caller;
  readonly language: Language;
  readonly onLanguage: (language: Language) => void;
};

function Frame({ caller, language, onLanguage }: FrameProps): VNode {
  const say = useWords();
  const place = usePlace();
  const session = useSessionOf(caller);
  const [page = "storm"] = place.path;
  const title = PAGES.find((name) => name === page);
  useEffect(() => {
    document.title = `${title === undefined ? "" : `${say(title)} · `}Becalm`;
  }, [title, language]);
  const skip = (event: Event) => {
    event.preventDefault();
    document.getElementById("main")?.focus();
  };
  return html`<${SessionContext.Provider} value=${session}>
    <a class="skip" href="#main" onClick=${skip}>${say("skip")}</a>
    <header class="top"><${TopBar} page=${page} language=${language} onLanguage=${onLanguage} session=${session} /></header>
    <main id="main" tabindex="-1">
      <${PauseBanner} />
      <${Page} place=${place} page=${page} />
    </main>
  <//>` as VNode;
}

type TopBarProps = Pick<FrameProps, "language" | "onLanguage"> & { readonly page: string; readonly session: Session };

function TopBar({ page, language, onLanguage, session }: TopBarProps): VNode {
  const say = useWords();
  const waiting = (session.approvals ?? []).reduce((sum, { held }) => sum + held, 0);
  const other = language === "en" ? "zh" : "en";
  const link = (name: (typeof PAGES)[number]) =>
    html`<a href=${hrefOf([name])} aria-current=${page === name ? "page" : undefined}>${say(name)}${
      name === "approvals" && waiting > 0 && html` <b class="badge">${waiting}</b>`
    }</a>`;
  return html`<a class="brand" href=${hrefOf([])}><i aria-hidden="true" />Becalm</a>
    <nav aria-label=${say("pages")}>${PAGES.map(link)}</nav>
    <${Search} />
    <span class="status">
      <span class=${`live ${session.isLive ? "is-live" : ""}`}>${session.isLive ? say("live") : say("offline")}</span>
      ${session.caller.name !== null && html`<span class="quiet">${session.caller.name}</span>`}
      ${session.caller.role === "read" && html`<span class="quiet" title=${say("readOnlyHint")}>${say("readOnly")}</span>`}
      <button type="button" class="language" lang=${other} onClick=${() => onLanguage(other)}>${language === "en" ? "中文" : "English"}</button>
    </span>` as VNode;
}

const ID = /^\d\d-[0-9a-f]{24}$/;

/** Finds an instance by its id, else those whose alerts have the text in a label. `/` goes there. */
function Search(): VNode {
  const say = useWords();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const isTyping = event.target instanceof HTMLElement && event.target.matches("input, textarea, select");
      if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);
  const find = (event: SubmitEvent) => {
    event.preventDefault();
    const text = field.current?.value.trim() ?? "";
    if (text === "") return;
    location.hash = ID.test(text) ? hrefOf(["instances", text]) : hrefOf(["instances"], searchQuery(text));
    if (field.current !== null) field.current.value = "";
  };
  return html`<form class="find" role="search" onSubmit=${find}>
    <input ref=${field} type="search" aria-label=${say("find")} placeholder=${say("find")} enterkeyhint="search" /><kbd aria-hidden="true">/</kbd>
  </form>` as VNode;
}

function Page({ place, page }: { place: Place; page: string }): VNode {
  const say = useWords();
  const id = place.path[1];
  if (page === "storm") return html`<${StormView} />` as VNode;
  if (page === "instances" && id !== undefined)
    return html`<${InstanceView} key=${id} id=${id} place=${place} />` as VNode;
  if (page === "instances") return html`<${InstancesView} place=${place} />` as VNode;
  if (page === "approvals") return html`<${ApprovalsView} />` as VNode;
  if (page === "silences") return html`<${SilencesView} />` as VNode;
  if (page === "policies") return html`<${PoliciesView} place=${place} />` as VNode;
  return html`<p class="quiet">${say("missing")}</p>` as VNode;
}

/** What every page knows, read again with each beat. What does not answer keeps what was known. */
function useSessionOf(caller: Caller): Session {
  const [beat, setBeat] = useState(0);
  const [isLive, setLive] = useState(false);
  const refresh = useCallback(() => setBeat((count) => count + 1), []);
  useBeat(refresh, setLive);
  const pauses = useRead<{ pauses: readonly Pause[] }>("/v1/pause", beat).value?.pauses ?? null;
  const asked = useRead<{ approvals: readonly Approval[] }>(`/v1/approvals?limit=${APPROVAL_COUNT_MAX}`, beat).value;
  const known = useRead<{ reasons: Readonly<Record<string, Sentence>> }>("/v1/reasons", 0).value;
  const [approvals, reasons] = [asked?.approvals ?? null, known?.reasons ?? {}];
  return useMemo(
    () => ({ caller, beat, isLive, pauses, approvals, reasons, refresh }),
    [caller, beat, isLive, pauses, approvals, known],
  );
}

function useBeat(refresh: () => void, setLive: (isLive: boolean) => void): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | null = null;
    const soon = () => {
      timer ??= setTimeout(() => {
        timer = null;
        // A page that nobody sees need not read.
        if (document.visibilityState === "visible") refresh();
      }, BEAT_MS);
    };
    const end = follow({ onStep: soon, onState: setLive });
    const idle = setInterval(soon, IDLE_BEAT_MS);
    document.addEventListener("visibilitychange", soon);
    return () => {
      end();
      clearInterval(idle);
      if (timer !== null) clearTimeout(timer);
      document.removeEventListener("visibilitychange", soon);
    };
  }, []);
}

render(html`<${App} />`, document.getElementById("app") as HTMLElement);
