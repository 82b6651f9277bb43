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
  return words ?? Object.keys(actions ?? {});
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

/** The actions of a command, those with the same options together. */
function groupsOf({ actions = {} }: Command): { actions: string[]; options: readonly string[] }[] {
  const groups = Object.groupBy(Object.entries(actions), ([, options]) => options.join());
  return Object.values(groups).map((same = []) => ({
    actions: same.map(([action]) => action),
    options: same[0][1],
  }));
}

/** The options of a command, or those of one of its actions. */
function flagsOf({ options }: Command, only: readonly string[] = Object.keys(options)): Flag[] {
  const own = only.map((name) => [name, options[name]] as const).map((
    [name, { help, type, choices = [] }],
  ) => ({
    name: `--${name}`,
    help,
    takesValue: type === "string",
    choices,
  }));
  return [...own, { name: "--help", help: "print this text", takesValue: false, choices: [] }];
}

function namesOf(flags: readonly Flag[]): string {
  return flags.map(({ name }) => name).join(" ");
}

function bash(commands: readonly Named[]): string {
  const cases = commands.map(({ name, command }) => {
    const flags = flagsOf(command);
    const values = flags.filter(({ takesValue }) => takesValue).map(({ name, choices }) =>
      `        ${name}) ${
        choices.length > 0 ? `words="${choices.join(" ")}"` : 'COMPREPLY=($(compgen -f -- "$word")); return'
      } ;;`
    );
    const actions = groupsOf(command).map(({ actions, options }) =>
      `        ${actions.join("|")}) words="${namesOf(flagsOf(command, options))}" ;;`
    );
    return [
      `    ${name})`,
      ...(values.length > 0 ? ['      case "$previous" in', ...values, "      esac"] : []),
      ...(actions.length > 0 ? ['      [ -n "$words" ] || case "$action" in', ...actions, "      esac"] : []),
      `      [ -n "$words" ] || words="${[...wordsOf(command), namesOf(flags)].join(" ")}" ;;`,
    ].join("\n");
  });
  return `# bash completion for ${PROGRAM}
${FUNCTION}() {
  local word="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" words="" action=""
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W "${commands.map(({ name }) => name).join(" ")} --help --version" -- "$word"))
    return
  fi
  [ "$COMP_CWORD" -eq 2 ] || action="\${COMP_WORDS[2]}"
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
  const flag = ({ name, help, takesValue, choices }: Flag): string => {
    const value = !takesValue ? "" : `:value:${choices.length > 0 ? `(${choices.join(" ")})` : "_files"}`;
    return `        '*${name}[${bracket(help)}]${value}'`;
  };
  const cases = commands.map(({ name, command }) => {
    const { words, actions } = command;
    const first = actions === undefined ? [] : [`        '1:action:(${Object.keys(actions).join(" ")})'`];
    const rest = `        '*:argument:${words === undefined ? "_files" : `(${words.join(" ")})`}'`;
    const complete = (flags: readonly Flag[]): string =>
      `_arguments \\\n${[...flags.map(flag), ...first, rest].join(" \\\n")} ;;`;
    const all = complete(flagsOf(command));
    if (actions === undefined) return `    ${name})\n      ${all}`;
    const each = groupsOf(command).map(({ actions, options }) =>
      `      ${actions.join("|")}) ${complete(flagsOf(command, options))}`
    );
    return `    ${name})\n      case $words[2] in\n${each.join("\n")}\n      *) ${all}\n      esac ;;`;
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
    const { words, actions } = command;
    const seen = `__fish_seen_subcommand_from ${name}`;
    const where = (condition: string): string => `complete -c ${PROGRAM} -n ${quoted(condition)}`;
    const line = (here: string, { name, help, takesValue, choices }: Flag): string => {
      const value = !takesValue ? "" : choices.length > 0 ? ` -x -a ${quoted(choices.join(" "))}` : " -r";
      return `${here} -l ${name.slice(2)}${value} -d ${quoted(help)}`;
    };
    const root = `complete -c ${PROGRAM} -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`;
    if (actions === undefined) {
      const values = words === undefined ? [] : [`${where(seen)} -f -a ${quoted(words.join(" "))}`];
      return [root, ...values, ...flagsOf(command).map((flag) => line(where(seen), flag))];
    }
    const names = Object.keys(actions);
    const first = where(`${seen}; and not __fish_seen_subcommand_from ${names.join(" ")}`);
    const flags = flagsOf(command).map((flag) => {
      const having = names.filter((action) => actions[action].includes(flag.name.slice(2)));
      const after = having.length === 0 ? "" : `; and __fish_seen_subcommand_from ${having.join(" ")}`;
      return line(where(`${seen}${after}`), flag);
    });
    return [root, `${first} -f -a ${quoted(names.join(" "))}`, ...flags];
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
    const actions = Object.entries(command.actions ?? {}).map(([action, only]) =>
      `${quoted(action)} = ${list(flagsOf(command, only).map(({ name }) => name))}`
    );
    const tables = { values, actions };
    const rest = Object.entries(tables).map(([table, rows]) => `${table} = @{ ${rows.join("; ")} }`);
    return `    ${quoted(name)} = @{ words = ${list(words)}; ${rest.join("; ")} }`;
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
    $words = if ($command.values.ContainsKey($given[-1])) { $command.values[$given[-1]] }
      elseif ($given.Count -gt 2 -and $command.actions.ContainsKey($given[2])) { $command.actions[$given[2]] }
      else { $command.words }
  } else { $words = @() }
  $words | Where-Object { $_ -like "$wordToComplete*" } | Sort-Object | ForEach-Object {
    [System.Management.Automation.CompletionResult]::new($_, $_, 'ParameterValue', $_)
  }
}
`;
}
