// The tests start Redis servers of their own and need nothing but the binary, version 7 or later.
import { spawnSync } from "node:child_process";

const MAJOR_MIN = 7;

if (majorVersion() === undefined) install();
const major = majorVersion();
if (major === undefined || major < MAJOR_MIN) {
  const found = major === undefined ? "redis-server is not installed" : `redis-server ${major} is too old`;
  console.error(
    `${found}: the tests need redis-server ${MAJOR_MIN} or later in PATH (apt-get install redis-server, brew install redis)`,
  );
  process.exit(1);
}

function majorVersion() {
  const { status, stdout } = spawnSync("redis-server", ["--version"], { encoding: "utf8" });
  const version = status === 0 ? /v=(\d+)/.exec(stdout) : null;
  return version === null ? undefined : Number(version[1]);
}

/** Debian's package starts a server of its own on 6379 where it can; the tests never talk to it. */
function install() {
  if (process.getuid?.() !== 0 || spawnSync("apt-get", ["--version"]).status !== 0) return;
  console.error("redis-server is not installed: installing it with apt-get");
  const options = {
    stdio: ["ignore", "ignore", "inherit"],
    env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" },
  };
  spawnSync("apt-get", ["update", "-qq"], options);
  spawnSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "redis-server"], options);
}
