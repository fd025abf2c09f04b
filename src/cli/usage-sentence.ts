/** What the command line's parser complains about, as a sentence with what was most likely meant. */
import type { Command, CommanderError } from "commander";
import { nearestName } from "../formats/nearest-name.ts";

const COMMON_START_MIN = 4;

export function usageSentence(error: CommanderError, program: Command, args: readonly string[]): string {
  // `help` of an unknown command has no sentence of Commander's.
  const message = error.code === "commander.help" ? `unknown command '${args[1]}'` : error.message;
  // Commander says `error: unknown option '--x'\n(Did you mean --y?)`.
  const [first = "", ...rest] = message.replace(/^error: /, "").split("\n");
  const text = first.charAt(0).toUpperCase() + first.slice(1);
  return [
    text.endsWith(".") ? text : `${text}.`,
    ...(rest.length > 0 ? rest : unknownOptions(program, args)),
    ...optionBeforeCommand(program, args),
    helpSentence(program, args),
  ].join(" ");
}

function commandNamed(program: Command, name: string | undefined): Command | undefined {
  return program.commands.find((candidate) => candidate.name() === name);
}

/** `becalm --namespace storm ls`, as other commands have it. */
function optionBeforeCommand(program: Command, args: readonly string[]): string[] {
  const command = args.find((arg) => commandNamed(program, arg) !== undefined);
  if (command === undefined || args[0]?.startsWith("-") !== true) return [];
  return [`Options stand behind the command: becalm ${command} ${args[0]} ...`];
}

function helpSentence(program: Command, args: readonly string[]): string {
  const command = args.find((arg) => commandNamed(program, arg) !== undefined);
  if (command === undefined) return "`becalm --help` lists the commands.";
  return `\`becalm ${command} --help\` shows how it is used.`;
}

/** Commander names a missing option before a misspelt one, which is often the same. */
function unknownOptions(program: Command, [name, ...args]: readonly string[]): string[] {
  const command = commandNamed(program, name);
  if (command === undefined) return [];
  const known = [...command.options.flatMap(({ long }) => long ?? []), "--help"];
  const given = args.filter((arg) => /^--./.test(arg)).map((arg) => arg.replace(/=.*/s, ""));
  return given.flatMap((option) => {
    if (known.includes(option)) return [];
    const meant = nearestName(option, known) ?? sameStart(option, known);
    return meant === null ? [] : [`Unknown option ${option}: did you mean ${meant}?`];
  });
}

/** `--policy` for `--policies`. */
function sameStart(option: string, known: readonly string[]): string | null {
  const least = "--".length + COMMON_START_MIN;
  return known.find((candidate) => candidate.slice(0, least) === option.slice(0, least)) ?? null;
}
