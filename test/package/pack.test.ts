import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { codeBlocks, ROOT } from "./code-blocks.ts";

const INSTALL_MS_MAX = 120_000;
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

/** What somebody starts with: an empty project with TypeScript's own advice for Node, nothing relaxed but the libraries' own types. */
const TSCONFIG = {
  compilerOptions: {
    target: "ES2023",
    lib: ["ES2023"],
    module: "NodeNext",
    types: ["node"],
    strict: true,
    skipLibCheck: true,
    outDir: "out",
    rootDir: ".",
  },
  include: ["*.ts"],
};

let project = "";

function run(command: string, args: readonly string[], cwd = project): string {
  const result = spawnSync(command, args, { cwd, encoding: "utf8", timeout: INSTALL_MS_MAX });
  if (result.status !== 0) throw new Error(`${command} ${args.join(" ")} failed\n${result.stdout}\n${result.stderr}`);
  return result.stdout;
}

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), "becalm-pack-"));
  run("npm", ["pack", "--ignore-scripts", "--silent", "--pack-destination", project], ROOT);
  const tarball = readdirSync(project).find((name) => name.endsWith(".tgz")) as string;
  writeFileSync(join(project, "package.json"), JSON.stringify({ name: "empty", private: true, type: "module" }));
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify(TSCONFIG));
  const quiet = ["--prefer-offline", "--no-audit", "--no-fund", "--silent"];
  run("npm", ["install", ...quiet, `./${tarball}`, "@types/node@20"]);
}, INSTALL_MS_MAX);

afterAll(() => rmSync(project, { recursive: true, force: true }));

describe("the package, installed from its tarball into an empty project", () => {
  test("runs the README's first example as it is printed", () => {
    const example = codeBlocks("README.md")[0];
    if (example === undefined)
      throw new Error("README.md holds no ```ts block: its first one is the example that must run");
    writeFileSync(join(project, "example.ts"), example.code);
    run(process.execPath, [TSC, "-p", project]);
    run(process.execPath, ["out/example.js"]);
  });

  test("lets the compiler name what is wrong in a policy or an alert, by the keys that people write", () => {
    const folder = join(project, "mistakes");
    mkdirSync(folder);
    const policy = 'name: "act", match: "a=b", action: { log: {} }';
    const cases: readonly [string, RegExp][] = [
      ['createEngine({ policies: [{ name: "act", macth: "a=b", action: { log: {} } }] });', /'macth' does not exist/],
      [
        `createEngine({ policies: [{ ${policy}, retry: { dealy: "1s" } }] });`,
        /'dealy' .* Did you mean to write 'delay'/,
      ],
      [
        `createEngine({ policies: [{ ${policy}, converge: { function: "trigger", window: 5 } }] });`,
        /Type '5' is not assignable to type 'DurationText'/,
      ],
      [
        'createEngine({ policies: { policies: [{ name: "act", match: "a=b", action: { hander: { name: "a" } } }] } });',
        /'hander' .* Did you mean to write 'handler'/,
      ],
      ['engine.ingest([{ label: { a: "b" } }]);', /'label' .* Did you mean to write 'labels'/],
      ["engine.ingest([{ labels: { a: 1 } }]);", /Type 'number' is not assignable to type 'string'/],
    ];
    const head = 'import { createEngine } from "becalm"; const engine = createEngine({ policies: [] });';
    writeFileSync(join(folder, "mistakes.ts"), [head, ...cases.map(([code]) => code)].join("\n"));
    writeFileSync(join(folder, "tsconfig.json"), JSON.stringify({ ...TSCONFIG, include: ["*.ts"] }));
    const { stdout } = spawnSync(process.execPath, [TSC, "-p", folder, "--noEmit", "--pretty", "false"], {
      cwd: folder,
      encoding: "utf8",
    });
    const errors = stdout.split("\n").filter((line) => line.startsWith("mistakes"));
    expect(errors).toEqual(cases.map(([, error]) => expect.stringMatching(error)));
  });

  test("offers the statecharts without the engine", () => {
    const code = 'import { actionInstanceMachine } from "becalm/machines"; console.log(actionInstanceMachine.id);';
    expect(run(process.execPath, ["--input-type=module", "-e", code]).trim()).not.toBe("");
  });

  test("offers what tests of programs need", () => {
    const code =
      'import { virtualClock, virtualRun } from "becalm/testing"; ' +
      "const run = await virtualRun({ policies: [], start: virtualClock().now() }); console.log(run.nowMs);";
    expect(run(process.execPath, ["--input-type=module", "-e", code]).trim()).toBe("1767225600000");
  });

  test("brings the command", () => {
    expect(run("npx", ["--no-install", "becalm", "--help"])).toContain("becalm");
  });

  test("names files in its help that are there", () => {
    const help = run("npx", ["--no-install", "becalm", "--help"]);
    const [, policies = "", alerts = ""] = /becalm run --policies (\S+) --alerts (\S+)/.exec(help) ?? [];
    expect(run("npx", ["--no-install", "becalm", "run", "--policies", policies, "--alerts", alerts])).toContain("1594");
  });

  test("holds the pages that its README links to", () => {
    const folder = join(project, "node_modules/becalm");
    const readme = readFileSync(join(folder, "README.md"), "utf8");
    const links = [...readme.matchAll(/\]\((docs\/[^)#]+)/g)].map((match) => match[1] as string);
    expect(links.length).toBeGreaterThan(5);
    expect(links.filter((link) => !existsSync(join(folder, link)))).toEqual([]);
  });

  test("has no link, in any page, that leads nowhere: neither to a missing file nor to a missing heading", () => {
    const folder = join(project, "node_modules/becalm");
    const pages = readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".md"));
    expect(pages.length).toBeGreaterThan(30);
    const links = pages.flatMap((page) => linksOf(folder, page));
    expect(links.length).toBeGreaterThan(150);
    expect(links.filter(({ target }) => !existsSync(join(folder, target)))).toEqual([]);
    const anchored = links.filter(({ target, anchor }) => anchor !== "" && target.endsWith(".md"));
    expect(anchored.filter(({ target, anchor }) => !anchorsOf(folder, target).has(anchor))).toEqual([]);
  });

  test("holds no tests, sources or tools", () => {
    const files = readdirSync(join(project, "node_modules/becalm"), { recursive: true, encoding: "utf8" });
    expect(files.filter((path) => /^(test|scripts|src|machines|node_modules|\.)|\.test\./.test(path))).toEqual([]);
  });
});

type PageLink = { readonly page: string; readonly target: string; readonly anchor: string };

/** Links of a page to what lies in the package, outside of code. */
function linksOf(folder: string, page: string): PageLink[] {
  const text = readFileSync(join(folder, page), "utf8").replace(/```[\s\S]*?```/g, "");
  const found = [...text.matchAll(/(?:\]\(|src="|srcset="|href=")([^)"\s]+)/g)].map((match) => match[1] as string);
  return found
    .filter((link) => !/^(https?|mailto):/.test(link))
    .map((link) => {
      const [path = "", anchor = ""] = link.split("#");
      return { page, anchor, target: path === "" ? page : join(dirname(page), path) };
    });
}

/** As GitHub names headings. */
function anchorsOf(folder: string, page: string): Set<string> {
  const text = readFileSync(join(folder, page), "utf8").replace(/```[\s\S]*?```/g, "");
  const headings = [...text.matchAll(/^#{1,6} (.*)$/gm)].map((match) => (match[1] as string).trim().toLowerCase());
  return new Set(headings.map((heading) => heading.replace(/[^\p{L}\p{N}\- _]/gu, "").replaceAll(" ", "-")));
}
