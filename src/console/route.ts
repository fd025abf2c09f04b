/** Where the console is: everything that a view shows is in the address, so that it can be sent to somebody else. */
import { useEffect, useState } from "preact/hooks";

export type Place = { readonly path: readonly string[]; readonly query: URLSearchParams };

export function placeOf(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
  return {
    path: path
      .split("/")
      .filter((part) => part !== "")
      .map(decoded),
    query: new URLSearchParams(query),
  };
}

/** An address that somebody typed may have a `%` that stands for itself. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function usePlace(): Place {
  const [place, setPlace] = useState(() => placeOf(location.hash));
  useEffect(() => {
    const changed = () => setPlace(placeOf(location.hash));
    addEventListener("hashchange", changed);
    return () => removeEventListener("hashchange", changed);
  }, []);
  return place;
}

export function hrefOf(path: readonly string[], query: Readonly<Record<string, string>> = {}): string {
  const given = Object.entries(query).filter(([, value]) => value !== "");
  const search = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${search === "" ? "" : `?${search}`}`;
}

/** Replaces the address without a step in the browser's history: a filter that is typed is one place. */
export function replacePlace(href: string): void {
  history.replaceState(null, "", href);
  dispatchEvent(new HashChangeEvent("hashchange"));
}

/** What somebody types to find alerts: matchers, if it reads like them, else a text in a label's value. */
export function searchQuery(text: string): { labels: string; text: string } {
  const areMatchers = /^\s*\{?\s*[^\s=!~"{}]+\s*(=|!=|=~|!~)/.test(text);
  return areMatchers ? { labels: text.trim(), text: "" } : { labels: "", text: text.trim() };
}
