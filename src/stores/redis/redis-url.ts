/** Where a Redis is, as a text: one server, what sentinels watch, or a cluster. */
import { invalid } from "../store-rules.ts";
import { type ReplicationOptions, requireReplication } from "./replication-options.ts";

export type RedisAddress = { readonly host: string; readonly port: number };

export type RedisTarget = {
  readonly kind: "server" | "sentinel" | "cluster";
  /** One server: itself. Otherwise whom to ask first. */
  readonly addresses: readonly RedisAddress[];
  /** Of the master that sentinels watch. */
  readonly name: string | null;
  readonly database: number;
  readonly username: string | null;
  readonly password: string | null;
  readonly hasTls: boolean;
  /** `?replicas=1&replicasTimeoutMs=500`: commits wait for replicas; absent: they do not. */
  readonly replication?: Required<ReplicationOptions>;
};

const URL_TEXT = /^(rediss?)(?:\+(sentinel|cluster))?:\/\/(?:([^@/]*)@)?([^@/?]+)(?:\/([^?]*))?(?:\?(.*))?$/;
const PORTS = { server: 6_379, sentinel: 26_379, cluster: 6_379 } as const;

/** What a store URL may look like, for messages. */
export const REDIS_URL_FORMS =
  "redis://[user:password@]host[:port][/database], redis+sentinel://[user:password@]host[:port],.../master[/database] or " +
  "redis+cluster://[user:password@]host[:port],...; rediss instead of redis for TLS; ?replicas=N behind it waits for replicas";

/** @throws BECALM_ARGUMENT_INVALID; the text may hold a password, so it is not repeated. */
export function parseRedisUrl(text: string): RedisTarget {
  const [, scheme, kindText, login = "", hosts = "", path = "", query] = URL_TEXT.exec(text) ?? [];
  if (scheme === undefined) throw notAUrl();
  const kind = (kindText ?? "server") as RedisTarget["kind"];
  const addresses = hosts.split(",").map((host) => addressIn(host, PORTS[kind]));
  if (kind === "server" && addresses.length > 1) throw notAUrl();
  const colon = login.indexOf(":");
  const [username, password] = colon < 0 ? [login, ""] : [login.slice(0, colon), login.slice(colon + 1)];
  return {
    kind,
    addresses,
    ...placeIn(path, kind),
    username: decoded(username) || null,
    password: decoded(password) || null,
    hasTls: scheme === "rediss",
    ...(query === undefined ? {} : { replication: replicationIn(query) }),
  };
}

function replicationIn(query: string): Required<ReplicationOptions> {
  const [, replicas, timeoutMs] = /^replicas=(\d{1,9})(?:&replicasTimeoutMs=(\d{1,9}))?$/.exec(query) ?? [];
  if (replicas === undefined) throw notAUrl();
  return requireReplication({
    replicas: Number(replicas),
    ...(timeoutMs === undefined ? {} : { timeoutMs: Number(timeoutMs) }),
  });
}

function addressIn(text: string, defaultPort: number): RedisAddress {
  const [, host, port = String(defaultPort)] = /^(\[[0-9A-Fa-f:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text) ?? [];
  if (host === undefined || Number(port) > 65_535) throw notAUrl();
  return { host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
}

function placeIn(path: string, kind: RedisTarget["kind"]): Pick<RedisTarget, "name" | "database"> {
  const form = { server: /^()(\d*)$/, sentinel: /^([^/]+)(?:\/(\d*))?$/, cluster: /^()()$/ }[kind];
  const [, name, database = ""] = form.exec(path) ?? [];
  if (name === undefined) throw notAUrl();
  return { name: kind === "sentinel" ? decoded(name) : null, database: Number(database) };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw notAUrl();
  }
}

function notAUrl(): Error {
  return invalid(`Invalid Redis URL. Write it as ${REDIS_URL_FORMS}.`);
}
