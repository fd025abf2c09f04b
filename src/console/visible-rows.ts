/** Which rows of a long list are seen: only those, and a few around them, are in the page. */
import type { RefObject } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import type { Range } from "./pages.ts";

const AROUND_COUNT = 12;

/** `list`: what holds rows of one height, which its style names as `--row-height`. */
export function useVisibleRows(list: RefObject<HTMLElement>, count: number): Range & { readonly rowPx: number } {
  const [range, setRange] = useState({ from: 0, to: 40, rowPx: 60 });
  const known = useRef(range);
  useLayoutEffect(() => {
    let frame = 0;
    const look = () => {
      frame = 0;
      if (list.current === null) return;
      const rowPx = rowHeightPx(list.current);
      const above = Math.max(0, -list.current.getBoundingClientRect().top);
      const from = Math.max(0, Math.floor(above / rowPx) - AROUND_COUNT);
      const to = Math.ceil((above + innerHeight) / rowPx) + AROUND_COUNT;
      const { current } = known;
      if (current.from === from && current.to === to && current.rowPx === rowPx) return;
      known.current = { from, to, rowPx };
      setRange(known.current);
    };
    const soon = () => {
      frame ||= requestAnimationFrame(look);
    };
    look();
    addEventListener("scroll", soon, { passive: true });
    addEventListener("resize", soon);
    return () => {
      cancelAnimationFrame(frame);
      removeEventListener("scroll", soon);
      removeEventListener("resize", soon);
    };
  }, [count > 0]);
  return { from: Math.min(range.from, count), to: Math.min(range.to, count), rowPx: range.rowPx };
}

function rowHeightPx(list: HTMLElement): number {
  const rem = Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
  return Math.max(1, Number.parseFloat(getComputedStyle(list).getPropertyValue("--row-height")) * rem);
}
