/**
 * A bundle: instances with their histories, checkpoints and policy versions in one file, to be verified and replayed
 * where there is no store.
 *
 * One entry a line: `<hash> <JSON>`. The hash is the sha256 (base64url) of the previous line's hash followed by the
 * JSON, so a changed byte is found with the number of its line. The first line is the header, the last one counts what
 * was written: a bundle that was cut short has no last line. Policies stand before the first instance that was made
 * under them. docs/bundle.md describes the format.
 */
import { birthOf, decodeHistory, decodeSteps } from "../instance/audit.ts";
import type { Birth, History } from "../instance/audit-types.ts";
import { chainHash } from "../instance/history-lines.ts";
import { sha256 } from "../model/digest.ts";
import { BecalmError } from "../model/errors.ts";
import type { Policy } from "../policy/policy.ts";
import { policyKey } from "../policy/policy-versions.ts";
import type { RecordedEnd } from "./recorded-history.ts";
import type { Trail } from "./replay.ts";

export const BUNDLE_FORMAT = 1;

export type BundleHeader = {
  readonly becalm: "bundle";
  readonly format: number;
  readonly namespace: string;
  readonly exportedAtMs: number;
  /** How far virtual time had come; absent: it is a live namespace. */
  readonly virtualTimeMs?: number;
  /** Of the namespace; absent: an earlier version wrote the bundle. */
  readonly partitions?: number;
  /** Names of labels and annotations whose values were replaced. */
  readonly redacted: readonly string[];
};

/**
 * One instance. `ended`: how its alert's episode ended, if that is known. `birthHash`: of the birth line as it is
 * stored, only if redaction has changed that line. `processes`: by id, the names of processes that decided its steps
 * and that no instance before it has named.
 */
export type BundledInstance = {
  readonly id: string;
  readonly version: number;
  readonly checkpoint: string;
  readonly lines: readonly string[];
  readonly ended?: RecordedEnd;
  readonly birthHash?: string;
  readonly processes?: Readonly<Record<string, string>>;
};

export type BundledPolicy = { readonly policy: string; readonly value: string };

type Counts = { readonly policies: number; readonly instances: number };
export type BundleEntry =
  | { readonly type: "header"; readonly header: BundleHeader }
  | { readonly type: "policy"; readonly policy: BundledPolicy }
  | { readonly type: "instance"; readonly instance: BundledInstance }
  /** Of a later version. */
  | { readonly type: "unknown" }
  | { readonly type: "end"; readonly counts: Counts };

/** Makes the lines of a bundle, in the order in which they are asked for. */
export class BundleWriter {
  readonly #redacted: ReadonlySet<string>;
  #hash = "";
  #policies = 0;
  #instances = 0;

  constructor(redacted: readonly string[]) {
    this.#redacted = new Set(redacted);
  }

  header(header: Pick<BundleHeader, "namespace" | "exportedAtMs" | "virtualTimeMs" | "partitions">): string {
    return this.#line({ becalm: "bundle", format: BUNDLE_FORMAT, ...header, redacted: [...this.#redacted] });
  }

  policy({ policy, value }: BundledPolicy): string {
    this.#policies += 1;
    return this.#line({ policy, value });
  }

  instance({ id, version, checkpoint, lines, ended, processes }: Omit<BundledInstance, "birthHash">): string {
    this.#instances += 1;
    const [birth = "", ...steps] = lines;
    const shown = this.#redacted.size === 0 ? birth : redactedBirth(birth, this.#redacted);
    const changed = shown === birth ? {} : { birthHash: chainHash("", birth) };
    return this.#line({ id, version, checkpoint, lines: [shown, ...steps], ended, processes, ...changed });
  }

  end(): string {
    return this.#line({ end: { policies: this.#policies, instances: this.#instances } });
  }

  #line(content: object): string {
    const json = JSON.stringify(content);
    this.#hash = chainHash(this.#hash, json);
    return `${this.#hash} ${json}`;
  }
}

/** Equal values stay equal, so that alerts can still be told apart. */
function redactedBirth(birth: string, names: ReadonlySet<string>): string {
  const stored = JSON.parse(birth) as { alert?: { labels: Fields; annotations?: Fields } };
  if (stored.alert === undefined) return birth;
  const { labels, annotations } = stored.alert;
  if (![...names].some((name) => Object.hasOwn(labels, name) || Object.hasOwn(annotations ?? {}, name))) return birth;
  const alert = {
    ...stored.alert,
    labels: redacted(labels, names),
    ...(annotations === undefined ? {} : { annotations: redacted(annotations, names) }),
  };
  return JSON.stringify({ ...stored, alert });
}

type Fields = Readonly<Record<string, string>>;

function redacted(fields: Fields, names: ReadonlySet<string>): Fields {
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [
      name,
      names.has(name) ? `redacted:${sha256(`${name}\0${value}`, "hex").slice(0, 12)}` : value,
    ]),
  );
}

/**
 * Reads a bundle line by line.
 * @throws BECALM_BUNDLE_BROKEN, with the number of the line, if a line was changed, removed, added or moved, or the end
 * is missing
 */
export class BundleReader {
  readonly #file: string;
  #hash = "";
  #line = 0;
  #isEnded = false;
  #policies = 0;
  #instances = 0;

  constructor(file: string) {
    this.#file = file;
  }

  read(text: string): BundleEntry {
    this.#line += 1;
    const separator = text.indexOf(" ");
    const json = text.slice(separator + 1);
    if (this.#isEnded) throw this.#broken("is after the bundle's last line");
    if (this.#line === 1 && !json.startsWith('{"becalm":"bundle"')) throw this.#notBundle();
    const hash = chainHash(this.#hash, json);
    if (separator < 0 || text.slice(0, separator) !== hash)
      throw this.#broken("was changed, or a line before it was removed, added or moved");
    this.#hash = hash;
    return this.#entry(JSON.parse(json) as Record<string, unknown>);
  }

  /** Must be called behind the last line. */
  end(): void {
    if (this.#line === 0) throw this.#notBundle();
    if (!this.#isEnded) throw this.#broken("is the last one, but the bundle does not end here: it was cut short");
  }

  #entry(content: Record<string, unknown>): BundleEntry {
    if ("becalm" in content) return { type: "header", header: this.#header(content) };
    if ("id" in content) {
      this.#instances += 1;
      return { type: "instance", instance: content as BundledInstance };
    }
    if ("policy" in content) {
      this.#policies += 1;
      return { type: "policy", policy: content as BundledPolicy };
    }
    if (!("end" in content)) return { type: "unknown" };
    const counts = content["end"] as Counts;
    if (counts.policies !== this.#policies || counts.instances !== this.#instances)
      throw this.#broken(`counts ${counts.instances} instances, but ${this.#instances} stand before it`);
    this.#isEnded = true;
    return { type: "end", counts };
  }

  #header(content: Record<string, unknown>): BundleHeader {
    if (content["format"] === BUNDLE_FORMAT) return content as BundleHeader;
    throw new BecalmError(
      "BECALM_BUNDLE_BROKEN",
      `${this.#file} has bundle format ${String(content["format"])}; this program reads ${BUNDLE_FORMAT}. Upgrade Becalm.`,
      { details: { file: this.#file, format: content["format"] } },
    );
  }

  #notBundle(): BecalmError {
    return new BecalmError(
      "BECALM_BUNDLE_BROKEN",
      `${this.#file} is not a bundle. \`becalm export --out FILE\` writes one.`,
      { details: { file: this.#file } },
    );
  }

  #broken(what: string): BecalmError {
    return new BecalmError(
      "BECALM_BUNDLE_BROKEN",
      `Line ${this.#line} of ${this.#file} ${what}. Use another copy of the bundle, or export it again.`,
      { details: { file: this.#file, line: this.#line } },
    );
  }
}

/**
 * The history of a bundled instance under its own policy version.
 * @throws BECALM_HISTORY_BROKEN if the bundle lacks the policy version or a line cannot be read
 */
export function bundledHistory(instance: BundledInstance, policies: ReadonlyMap<string, Policy>): History {
  return decodeHistory(
    instance.id,
    instance.lines,
    policyOf(instance.id, birthOf(instance.id, instance.lines), policies),
  );
}

/** The same, as far as it takes to step it again. */
export function bundledTrail({ id, lines }: BundledInstance, policies: ReadonlyMap<string, Policy>): Trail {
  const birth = birthOf(id, lines);
  return { instance: id, birth, policy: policyOf(id, birth, policies), entries: decodeSteps(id, lines, birth) };
}

function policyOf(id: string, birth: Birth, policies: ReadonlyMap<string, Policy>): Policy {
  const { policy: name, policyVersion: version } = birth;
  const policy = policies.get(policyKey({ name, version }));
  if (policy !== undefined) return policy;
  throw new BecalmError(
    "BECALM_HISTORY_BROKEN",
    `The bundle lacks policy "${name}" version ${version}, under which instance ${id} was made. Export it again.`,
    { details: { id, policy: name, version } },
  );
}
