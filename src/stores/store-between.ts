/** A store some of whose calls go another way: measured, traced. */
import type { Store } from "./store.ts";

/** Everything else is asked of the driver itself, which has private fields. */
export function storeBetween(store: Store, calls: ReadonlyMap<keyof Store, unknown>): Store {
  const between = new Map<string | symbol, unknown>(calls);
  return new Proxy(store, {
    get: (target, name) => {
      if (between.has(name)) return between.get(name);
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const bound: unknown = value.bind(target);
      between.set(name, bound);
      return bound;
    },
  });
}
