import { Argument, Command } from "commander";
import { teach } from "./options.js";
import type { Output } from "./output.js";

/** Words that can follow one command: its own commands, its options, and what an option may be. */
interface Words {
  /** "embershard", "embershard versions", ... */
  readonly path: string;
  readonly commands: readonly string[];
  readonly options: readonly string[];
  /** By option: the choices; an option that takes something else completes files. */
  readonly values: ReadonlyMap<string, readonly string[]>;
}

export function completionCommand(output: Output): Command {
  const command = new Command("completion")
    .summary("print a script that completes this command line in your shell")
    .description("Prints a script for bash or zsh that completes commands, options and files.")
    .addArgument(new Argument("<shell>", "for which shell").choices(["bash", "zsh"]))
    .action((shell: "bash" | "zsh") => {
      const words = wordsOf(command.parent!);
      output.out.write(shell === "bash" ? bashScript(words) : zshScript(words));
    });
  return teach(command, [
    "source <(embershard completion bash)                                 this shell",
    "embershard completion bash > ~/.local/share/bash-completion/completions/embershard",
    "embershard completion zsh > ~/.zfunc/_embershard                      with ~/.zfunc in fpath, before compinit",
  ]);
}

/** What the program offers, command by command, its own first. */
function wordsOf(command: Command, above = ""): Words[] {
  const path = above === "" ? command.name() : `${above} ${command.name()}`;
  const values = new Map<string, readonly string[]>();
  const options: string[] = [];
  for (const option of command.options) {
    const names = [option.long, option.short].filter((name) => name !== undefined && name !== null);
    options.push(...names);
    if (option.required || option.optional)
      for (const name of names) values.set(name, option.argChoices ?? []);
  }
  options.push("--help");
  const commands = command.commands.map((one) => one.name());
  if (above === "") commands.push("help");
  const choices = command.registeredArguments.flatMap((argument) => argument.argChoices ?? []);
  const own: Words = { path, commands: [...commands, ...choices], options, values };
  const help: Words[] =
    above === "" ? [{ path: `${path} help`, commands, options: [], values: new Map() }] : [];
  return [own, ...help, ...command.commands.flatMap((one) => wordsOf(one, path))];
}

/** Both shells walk the words typed so far down the tree of commands, then offer what fits there. */
function walk(all: readonly Words[], list: (words: readonly string[]) => string): string {
  return all
    .map(({ path, commands, options, values }) => {
      const taking = [...values]
        .map(
          ([option, choices]) =>
            `        ${option}) ${choices.length > 0 ? list(choices) : "_embershard_files"} ;;`,
        )
        .join("\n");
      const words = commands.length > 0 ? list(commands) : "_embershard_files";
      const rest = `        *) if [[ "$current" == -* ]]; then ${list(options)}; else ${words}; fi ;;`;
      const cases = taking === "" ? rest : `${taking}\n${rest}`;
      return `    "${path}")\n      case "$previous" in\n${cases}\n      esac ;;`;
    })
    .join("\n");
}

function paths(all: readonly Words[]): string {
  return all.map(({ path }) => `"${path}"`).join("|");
}

function bashScript(all: readonly Words[]): string {
  return `# bash completion for embershard: source <(embershard completion bash)
_embershard_offer() { COMPREPLY=($(compgen -W "$*" -- "$current")); }
_embershard_files() { local IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$current")); }
_embershard() {
  local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" path="embershard" i
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$path \${COMP_WORDS[i]}" in ${paths(all)}) path="$path \${COMP_WORDS[i]}" ;; esac
  done
  COMPREPLY=()
  case "$path" in
${walk(all, (words) => `_embershard_offer ${words.join(" ")}`)}
  esac
}
complete -o filenames -F _embershard embershard
`;
}

function zshScript(all: readonly Words[]): string {
  return `#compdef embershard
# zsh completion for embershard: in a folder of $fpath, named _embershard
_embershard_offer() { compadd -- "$@" }
_embershard_files() { _files }
_embershard() {
  local current="$words[CURRENT]" previous="$words[CURRENT-1]" path_="embershard" i
  for ((i = 2; i < CURRENT; i++)); do
    case "$path_ $words[i]" in (${paths(all)}) path_="$path_ $words[i]" ;; esac
  done
  case "$path_" in
${walk(all, (words) => `_embershard_offer ${words.join(" ")}`).replaceAll(/^ {4}"/gm, '    ("')}
  esac
}
_embershard "$@"
`;
}
