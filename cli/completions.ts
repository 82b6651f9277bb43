/**
 * `completions SHELL`: a script that completes commands, options and their values, made from the commands' own data.
 *
 * @module
 */

import { type Command, type CommandEntry, defineCommand } from "./command.ts";
import { PROGRAM } from "./help.ts";

/** A command with its name and its summary. */
interface Named {
  readonly name: string;
  readonly summary: string;
  readonly command: Command;
}

/** The words that a command's operands can be, as far as there is a list. */
function wordsOf({ words, actions }: Command): readonly string[] {
  return words ?? actions ?? [];
}

/** One option, as shells complete it. */
interface Flag {
  readonly name: string;
  readonly help: string;
  readonly takesValue: boolean;
  readonly choices: readonly string[];
}

const SHELLS = ["bash", "zsh", "fish", "powershell"] as const;
const FUNCTION = "_secure_sockets";

const SCRIPTS: { readonly [shell in typeof SHELLS[number]]: (commands: readonly Named[]) => string } = {
  bash,
  zsh,
  fish,
  powershell,
};

/** The command that completes `entries`, the commands by name. */
export const completions = (entries: Readonly<Record<string, CommandEntry>>): Command =>
  defineCommand({
    usage: SHELLS.join("|"),
    operands: [1, 1],
    words: SHELLS,
    options: {},
    examples: [
      { line: "completions bash > ~/.local/share/bash-completion/completions/secure-sockets", text: "bash" },
      { line: "completions zsh > ~/.zfunc/_secure-sockets", text: "zsh, with ~/.zfunc in its fpath" },
      { line: "completions fish > ~/.config/fish/completions/secure-sockets.fish", text: "fish" },
      { line: "completions powershell >> $PROFILE", text: "PowerShell" },
    ],
    async run({ operands: [shell] }, io) {
      const commands = await Promise.all(
        Object.entries(entries).map(async ([name, { summary, load }]) => ({
          name,
          summary,
          command: (await load()).command,
        })),
      );
      await io.print(SCRIPTS[shell as typeof SHELLS[number]](commands).trimEnd());
      return 0;
    },
  });

function flagsOf({ options }: Command): Flag[] {
  const own = Object.entries(options).map(([name, { help, type, choices = [] }]) => ({
    name: `--${name}`,
    help,
    takesValue: type === "string",
    choices,
  }));
  return [...own, { name: "--help", help: "print this text", takesValue: false, choices: [] }];
}

function bash(commands: readonly Named[]): string {
  const cases = commands.map(({ name, command }) => {
    const flags = flagsOf(command);
    const values = flags.filter(({ takesValue }) => takesValue).map(({ name, choices }) =>
      `        ${name}) ${
        choices.length > 0 ? `words="${choices.join(" ")}"` : 'COMPREPLY=($(compgen -f -- "$word")); return'
      } ;;`
    );
    return [
      `    ${name})`,
      ...(values.length > 0 ? ['      case "$previous" in', ...values, "      esac"] : []),
      `      [ -n "$words" ] || words="${
        [...wordsOf(command), ...flags.map(({ name }) => name)].join(" ")
      }" ;;`,
    ].join("\n");
  });
  return `# bash completion for ${PROGRAM}
${FUNCTION}() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$word"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
${cases.join("\n")}
  esac
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [ "\${#COMPREPLY[@]}" -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
}
complete -F ${FUNCTION} ${PROGRAM}
`;
}

function zsh(commands: readonly Named[]): string {
  const single = (text: string): string => text.replaceAll("'", "'\\''");
  const colon = (text: string): string => single(text.replaceAll(":", "\\:"));
  const bracket = (text: string): string => single(text.replace(/[[\]:\\]/g, "\\$&"));
  const cases = commands.map(({ name, command }) => {
    const flags = flagsOf(command).map(({ name, help, takesValue, choices }) => {
      const value = !takesValue ? "" : `:value:${choices.length > 0 ? `(${choices.join(" ")})` : "_files"}`;
      return `        '*${name}[${bracket(help)}]${value}'`;
    });
    const { words, actions } = command;
    const first = actions === undefined ? [] : [`        '1:action:(${actions.join(" ")})'`];
    const rest = `        '*:argument:${words === undefined ? "_files" : `(${words.join(" ")})`}'`;
    return `    ${name})\n      _arguments \\\n${[...flags, ...first, rest].join(" \\\n")} ;;`;
  });
  return `#compdef ${PROGRAM}
${FUNCTION}() {
  local -a commands
  commands=(
${commands.map(({ name, summary }) => `    '${colon(name)}:${colon(summary)}'`).join("\n")}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local chosen=$words[2]
  shift words
  (( CURRENT-- ))
  case $chosen in
${cases.join("\n")}
  esac
}
if [ "$funcstack[1]" = "_${PROGRAM}" ]; then ${FUNCTION} "$@"; else compdef ${FUNCTION} ${PROGRAM}; fi
`;
}

function fish(commands: readonly Named[]): string {
  const quoted = (text: string): string => `'${text.replace(/['\\]/g, "\\$&")}'`;
  const lines = commands.flatMap(({ name, summary, command }) => {
    const here = `complete -c ${PROGRAM} -n ${quoted(`__fish_seen_subcommand_from ${name}`)}`;
    return [
      `complete -c ${PROGRAM} -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
      ...(wordsOf(command).length === 0
        ? []
        : [`${here}${command.words ? " -f" : ""} -a ${quoted(wordsOf(command).join(" "))}`]),
      ...flagsOf(command).map(({ name, help, takesValue, choices }) => {
        const value = !takesValue ? "" : choices.length > 0 ? ` -x -a ${quoted(choices.join(" "))}` : " -r";
        return `${here} -l ${name.slice(2)}${value} -d ${quoted(help)}`;
      }),
    ];
  });
  return `# fish completion for ${PROGRAM}\n${lines.join("\n")}\n`;
}

function powershell(commands: readonly Named[]): string {
  const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`;
  const list = (words: readonly string[]): string => `@(${words.map(quoted).join(", ")})`;
  const entries = commands.map(({ name, command }) => {
    const flags = flagsOf(command);
    const values = flags.filter(({ choices }) => choices.length > 0).map(({ name, choices }) =>
      `${quoted(name)} = ${list(choices)}`
    );
    const words = [...wordsOf(command), ...flags.map(({ name }) => name)];
    return `    ${quoted(name)} = @{ words = ${list(words)}; values = @{ ${values.join("; ")} } }`;
  });
  return `# PowerShell completion for ${PROGRAM}
Register-ArgumentCompleter -Native -CommandName ${PROGRAM} -ScriptBlock {
  param($wordToComplete, $commandAst, $cursorPosition)
  $commands = @{
${entries.join("\n")}
  }
  $given = @($commandAst.CommandElements | ForEach-Object { $_.ToString() })
  if ($wordToComplete -ne '') { $given = @($given | Select-Object -SkipLast 1) }
  if ($given.Count -lt 2) { $words = $commands.Keys + '--help', '--version' }
  elseif ($commands.ContainsKey($given[1])) {
    $command = $commands[$given[1]]
    $words = if ($command.values.ContainsKey($given[-1])) { $command.values[$given[-1]] } else { $command.words }
  } else { $words = @() }
  $words | Where-Object { $_ -like "$wordToComplete*" } | Sort-Object | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}
