import { type Command, InvalidArgumentError } from "commander";
import { isAddress } from "../base/address.js";
import { EXIT_CODES } from "./failure.js";
import { countText } from "./text-table.js";

/** Reads an option that is a whole number of [0, 2^53). Commander reports what is not, with the option's name. */
export function wholeNumber(text: string): number {
  const number = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(number))
    throw new InvalidArgumentError("expected a whole number");
  return number;
}

/** Reads an option that is a whole number from `least` to `most`. */
export function wholeNumberIn(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = wholeNumber(text);
    if (number >= least && number <= most) return number;
    throw new InvalidArgumentError(`expected a whole number from ${least} to ${countText(most)}`);
  };
}

/** What is said to who names nodes where a directory is wanted. */
export const NO_DIRECTORY =
  "expected a directory, this is an address of nodes: give a node's own directory, on its machine; " +
  "embershard status, versions and inspect --at take an address, programs open it with connect()";

/** Reads an argument that is a directory. */
export function directoryPath(text: string): string {
  if (isAddress(text)) throw new InvalidArgumentError(NO_DIRECTORY);
  return text;
}

/** Reads an option that is a list: texts between commas, none of them empty. */
export function commaList(text: string): string[] {
  const parts = text.split(",");
  if (parts.includes("")) throw new InvalidArgumentError("expected texts with commas between");
  return parts;
}

/** Ends a command's help with examples, one a line, and the exit codes. */
export function teach(command: Command, lines: readonly string[]): Command {
  return command.addHelpText(
    "after",
    `\nExamples:\n${lines.map((line) => `  ${line}`).join("\n")}\n\n${EXIT_CODES}`,
  );
}
