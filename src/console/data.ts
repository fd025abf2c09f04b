/** Reading from the server and reading again when something was committed. */
import { createContext } from "preact";
import { useCallback, useContext, useEffect, useRef, useState } from "preact/hooks";
import { type Caller, get, type Pause, Refused } from "./api.ts";

export type Session = {
  readonly caller: Caller;
  /** Counts commits that were seen: what depends on it reads again. */
  readonly beat: number;
  readonly isLive: boolean;
  /** null: the server knows no pause. */
  readonly pauses: readonly Pause[] | null;
  readonly refresh: () => void;
};

export const SessionContext = createContext<Session>({
  caller: { name: null, role: "read" },
  beat: 0,
  isLive: false,
  pauses: null,
  refresh: () => {},
});

export const useSession = (): Session => useContext(SessionContext);

export function mayOperate({ caller }: Session): boolean {
  return caller.role !== "read";
}

export type Loaded<T> = { readonly value: T | null; readonly error: Refused | null; readonly reload: () => void };

/** What `path` gives, read again with every beat. An older answer never replaces a newer one. */
export function useData<T>(path: string | null): Loaded<T> {
  const { beat } = useSession();
  const [state, setState] = useState<{ path: string | null; value: T | null; error: Refused | null }>({
    path: null,
    value: null,
    error: null,
  });
  const [again, setAgain] = useState(0);
  const newest = useRef(0);
  useEffect(() => {
    if (path === null) return;
    newest.current += 1;
    const mine = newest.current;
    get<T>(path).then(
      (value) => {
        if (mine === newest.current) setState({ path, value, error: null });
      },
      (error: unknown) => {
        if (mine === newest.current) setState((before) => ({ ...before, path, error: refused(error) }));
      },
    );
  }, [path, beat, again]);
  const reload = useCallback(() => setAgain((count) => count + 1), []);
  return { value: state.path === path ? state.value : null, error: state.error, reload };
}

export function refused(error: unknown): Refused {
  return error instanceof Refused ? error : new Refused(0, error instanceof Error ? error.message : String(error));
}
