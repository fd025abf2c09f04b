/**
 * Where webhooks may not go: addresses that only this machine's network card or its cloud answers at, and that give
 * away its credentials. They are looked at after the name was resolved, so a name that points there is refused too, and
 * one that is changed between two looks is looked at again.
 */
import { type LookupAddress, type LookupAllOptions, lookup } from "node:dns";
import { BlockList, isIP, type LookupFunction } from "node:net";
import { BecalmError } from "../model/errors.ts";

/** Link-local ones, and what clouds answer at elsewhere: AWS over IPv6, Alibaba, Oracle, Azure. */
const REFUSED = [
  "169.254.0.0/16",
  "fe80::/10",
  "fd00:ec2::254/128",
  "100.100.100.200/32",
  "192.0.0.192/32",
  "168.63.129.16/32",
  // The first of them again, as a translator from IPv6 spells it.
  "64:ff9b::a9fe:0/112",
];

type Resolve = (
  name: string,
  options: LookupAllOptions,
  done: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Why a webhook is not sent. */
export class RefusedAddress extends Error {}

export class AddressGuard {
  readonly #refused = listOf(REFUSED);
  readonly #allowed: BlockList;

  readonly #resolve: Resolve;

  /** `allowed`: addresses, or ranges such as `169.254.20.0/24`. @throws BECALM_ARGUMENT_INVALID */
  constructor(allowed: readonly string[] = [], resolve: Resolve = lookup) {
    this.#allowed = listOf(allowed);
    this.#resolve = resolve;
  }

  /** For a host that is an address already: nobody looks that up. @throws RefusedAddress */
  requireAllowed(host: string): void {
    const address = host.replace(/^\[|\]$/g, "");
    if (isIP(address) !== 0 && !this.#mayReach(address)) throw refused(address);
  }

  /** Resolves names as usual; one that leads to a refused address fails, whatever else it leads to. */
  readonly lookup: LookupFunction = (name, options, done) => {
    this.#resolve(name, { ...options, all: true }, (error, found) => {
      const addresses = found ?? [];
      const bad = addresses.find(({ address }) => !this.#mayReach(address));
      const [first] = addresses;
      if (error !== null) done(error, []);
      else if (bad !== undefined) done(refused(bad.address) as NodeJS.ErrnoException, []);
      else if (options.all === true) done(null, addresses);
      else done(null, first?.address ?? "", first?.family);
    });
  };

  #mayReach(address: string): boolean {
    // Node matches `::ffff:169.254.1.1` with ranges of IPv4.
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    const bare = address.replace(/%.*$/, "");
    return this.#allowed.check(bare, family) || !this.#refused.check(bare, family);
  }
}

function listOf(ranges: readonly string[]): BlockList {
  const list = new BlockList();
  for (const range of ranges) {
    const [address = "", bits] = range.split("/");
    const family = isIP(address) === 6 ? "ipv6" : "ipv4";
    const bitsMax = family === "ipv6" ? 128 : 32;
    const isRange = isIP(address) !== 0 && (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= bitsMax));
    if (!isRange) {
      const text = `${JSON.stringify(range)} is not an address. Write it as 169.254.20.10 or 169.254.20.0/24.`;
      throw new BecalmError("BECALM_ARGUMENT_INVALID", text);
    }
    list.addSubnet(address, bits === undefined ? bitsMax : Number(bits), family);
  }
  return list;
}

function refused(address: string): RefusedAddress {
  return new RefusedAddress(
    `BECALM_FORBIDDEN: ${address} is a link-local or metadata address, and webhooks do not go there. Allow it with --allow-address (allowAddresses), or correct the policy's url`,
  );
}
