// Adds to package-lock.json the optional packages of other platforms that the registry in use did not offer.
// Without them `npm ci` refuses the lock, and an install elsewhere would miss its binaries. Run it after `npm install
// <name>` when `npm ci` says "Missing: ... from lock file". Their versions are pinned by the package that asks for
// them.
import { readFileSync, writeFileSync } from "node:fs";

const OPERATING_SYSTEMS = ["android", "darwin", "freebsd", "linux", "openharmony", "win32"];
const CPUS = ["arm64", "arm", "ia32", "ppc64", "riscv64", "s390x", "x64"];
const LOCK = new URL("../package-lock.json", import.meta.url);

const lock = JSON.parse(readFileSync(LOCK, "utf8"));
const missing = Object.entries(lock.packages).flatMap(([path, entry]) => (path === "" ? [] : absentOptionals(entry)));
for (const { name, version, dev } of missing) lock.packages[`node_modules/${name}`] = platformEntry(name, version, dev);
lock.packages = Object.fromEntries(Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, "en")));
if (missing.length > 0) writeFileSync(LOCK, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${missing.length} packages of other platforms added`);

/** Only exact versions: a range would need the registry to settle it. */
function absentOptionals(entry) {
  return Object.entries(entry.optionalDependencies ?? {})
    .filter(([name, version]) => /^\d+\.\d+\.\d+$/.test(version) && lock.packages[`node_modules/${name}`] === undefined)
    .map(([name, version]) => ({ name, version, dev: entry.dev === true }));
}

function platformEntry(name, version, dev) {
  const words = name.split(/[/-]/);
  const os = OPERATING_SYSTEMS.filter((word) => words.includes(word));
  const cpu = CPUS.filter((word) => words.includes(word));
  const libc = name.includes("musl") ? ["musl"] : name.endsWith("-gnu") ? ["glibc"] : [];
  if (os.length !== 1 || cpu.length !== 1)
    throw new Error(`${name}: cannot tell its platform; add it to the lock by hand`);
  return { version, cpu, ...(dev ? { dev } : {}), ...(libc.length > 0 ? { libc } : {}), optional: true, os };
}
