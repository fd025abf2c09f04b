/** Reading from the server and reading again when something was committed. */
import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { type Approval, type Caller, get, type Pause, Refused, type Sentence } from "./api.ts";

export type Session = {
  readonly caller: Caller;
  /** Counts commits that were seen: what depends on it reads again. */
  readonly beat: number;
  readonly isLive: boolean;
  /** null: not known yet. */
  readonly pauses: readonly Pause[] | null;
  /** null: not known yet. */
  readonly approvals: readonly Approval[] | null;
  /** By code: why an instance is where it is, in a few words. */
  readonly reasons: Readonly<Record<string, Sentence>>;
  readonly refresh: () => void;
};

export const SessionContext = createContext<Session>({
  caller: { name: null, role: "read" },
  beat: 0,
  isLive: false,
  pauses: null,
  approvals: null,
  reasons: {},
  refresh: () => {},
});

export const useSession = (): Session => useContext(SessionContext);

export function mayOperate({ caller }: Session): boolean {
  return caller.role !== "read";
}

export type Loaded<T> = { readonly value: T | null; readonly error: Refused | null; readonly reload: () => void };

type Read<T> = { readonly path: string | null; readonly value: T | null; readonly error: Refused | null };

/** What `path` gives, read again with every beat unless `isFixed`. */
export function useData<T>(path: string | null, { isFixed = false }: { isFixed?: boolean } = {}): Loaded<T> {
  const { beat } = useSession();
  return useRead(path, isFixed ? 0 : beat);
}

/**
 * What `path` gives, read again when `beat` changes. One request is under way at a time: a server that is slow is asked
 * again when it has answered, and an answer for another path is dropped.
 */
export function useRead<T>(path: string | null, beat: number): Loaded<T> {
  const [state, setState] = useState<Read<T>>({ path: null, value: null, error: null });
  const [again, setAgain] = useState(0);
  const reading = useRef<{ path: string | null; isAskedAgain: boolean } | null>(null);
  useEffect(() => {
    if (path === null) return;
    if (reading.current?.path === path) {
      reading.current.isAskedAgain = true;
      return;
    }
    const mine = { path, isAskedAgain: false };
    reading.current = mine;
    const isMine = () => reading.current === mine;
    void get<T>(path)
      .then(
        (value) => isMine() && setState({ path, value, error: null }),
        (error: unknown) => isMine() && setState((before) => ({ ...before, path, error: refused(error) })),
      )
      .then(() => {
        if (!isMine()) return;
        reading.current = null;
        if (mine.isAskedAgain) setAgain((count) => count + 1);
      });
  }, [path, beat, again]);
  useEffect(
    () => () => {
      reading.current = null;
    },
    [],
  );
  const reload = useCallback(() => setAgain((count) => count + 1), []);
  return { value: state.path === path ? state.value : null, error: state.path === path ? state.error : null, reload };
}

export function refused(error: unknown): Refused {
  if (error instanceof Refused) return error;
  return new Refused(0, error instanceof Error ? error.message : String(error));
}
