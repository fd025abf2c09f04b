import { BecalmError } from "../../model/errors.ts";

export type ListenAddress = {
  /** Left out: all interfaces. */
  readonly host: string | undefined;
  /** 0: any free one. */
  readonly port: number;
};

const PORT_MAX = 65_535;

/** Reads `HOST:PORT`, `[::1]:PORT` or `:PORT`. */
export function parseListen(text: string): ListenAddress {
  const found = /^(?:\[([0-9a-fA-F:.%\w]+)\]|([^:[\]\s]*)):(\d{1,5})$/.exec(text);
  const port = Number(found?.[3]);
  if (found === null || port > PORT_MAX) {
    throw new BecalmError(
      "BECALM_ARGUMENT_INVALID",
      `${JSON.stringify(text)} is not an address to listen on. Write HOST:PORT, such as 127.0.0.1:9095 or [::1]:9095.`,
    );
  }
  const host = found[1] ?? found[2];
  return { host: host === "" ? undefined : host, port };
}

/** Only this machine can reach it. */
export function isLoopback(host: string | undefined): boolean {
  if (host === undefined) return false;
  return host === "localhost" || host === "::1" || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** The name in a `Host` header, without its port. */
export function hostName(header: string): string {
  const bracketed = /^\[([^\]]*)\](?::\d*)?$/.exec(header);
  if (bracketed !== null) return bracketed[1] as string;
  return header.replace(/:\d*$/, "").toLowerCase();
}

/** As it is written in a URL. */
export function urlHost(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
