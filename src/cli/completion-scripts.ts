// The completion scripts of bash, zsh and fish, printed from the places of `completion-words.ts`. They are static:
// pressing Tab starts no process.

import type { CompletionPlace, FlagChoice } from "./completion-words.ts";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

export function formatCompletion(shell: Shell, places: readonly CompletionPlace[]): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](places);
}

/** In single quotes for a POSIX shell. */
const quoted = (text: string) => `'${text.replaceAll("'", "'\\''")}'`;

const commandPaths = (places: readonly CompletionPlace[]) =>
  places.map(({ path }) => path).filter((path) => path !== "/");

const withChoices = (flags: readonly FlagChoice[]) =>
  flags.filter(({ values }) => (values?.length ?? 0) > 0);

const withValue = (flags: readonly FlagChoice[]) =>
  flags.filter(({ values }) => values !== undefined);

function bashScript(places: readonly CompletionPlace[]): string {
  const join = (words: readonly { word: string }[]) => words.map(({ word }) => word).join(" ");
  const cases = places.map(
    ({ path, words, flags }) =>
      `    ${path}) words=${quoted(join(words))}; flags=${quoted(join(flags))}; valued=${quoted(join(withValue(flags)))} ;;`,
  );
  const choices = places.flatMap(({ path, flags }) =>
    withChoices(flags).map(
      ({ word, values }) => `    ${path}:${word}) choices=${quoted(values?.join(" ") ?? "")} ;;`,
    ),
  );
  return `# bash completion of citadel-agent; load it with: source <(citadel-agent completion bash)
_citadel_agent() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]}
  local place= word index words= flags= valued= choices=
  if [[ $current == = ]]; then current=; fi
  if [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD-2]}; fi
  for ((index = 1; index < COMP_CWORD; index++)); do
    word=\${COMP_WORDS[index]}
    case "$place/$word" in
    ${commandPaths(places).join("|") || "/"}) place="$place/$word" ;;
    esac
  done
  case "\${place:-/}" in
${cases.join("\n")}
  esac
  case "\${place:-/}:$previous" in
${choices.join("\n")}
  esac
  if [[ -n $choices ]]; then COMPREPLY=($(compgen -W "$choices" -- "$current")); return; fi
  if [[ " $valued " == *" $previous "* ]]; then COMPREPLY=(); return; fi
  if [[ $current == -* ]]; then COMPREPLY=($(compgen -W "$flags" -- "$current")); return; fi
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o bashdefault -o default -F _citadel_agent citadel-agent
`;
}

function zshScript(places: readonly CompletionPlace[]): string {
  const described = (choices: readonly { word: string; summary: string }[]) =>
    choices
      .map(({ word, summary }) =>
        quoted(`${word.replaceAll(":", "\\:")}${summary === "" ? "" : `:${summary}`}`),
      )
      .join(" ");
  const cases = places.map(
    ({ path, words, flags }) =>
      `    (${path}) verbs=(${described(words)}); flags=(${described(flags)}); valued=(${withValue(
        flags,
      )
        .map(({ word }) => word)
        .join(" ")}) ;;`,
  );
  const choices = places.flatMap(({ path, flags }) =>
    withChoices(flags).map(
      ({ word, values }) => `    (${path}:${word}) choices=(${values?.map(quoted).join(" ")}) ;;`,
    ),
  );
  return `#compdef citadel-agent
# zsh completion of citadel-agent; load it with: source <(citadel-agent completion zsh)
_citadel_agent() {
  local place= word previous=\${words[CURRENT-1]}
  local -a verbs flags valued choices
  for word in \${words[2,CURRENT-1]}; do
    case "$place/$word" in
    (${commandPaths(places).join("|") || "/"}) place="$place/$word" ;;
    esac
  done
  case "\${place:-/}" in
${cases.join("\n")}
  esac
  case "\${place:-/}:$previous" in
${choices.join("\n")}
  esac
  if (( \${#choices} )); then compadd -- $choices; return; fi
  if (( \${valued[(Ie)$previous]} )); then _files; return; fi
  if [[ \${words[CURRENT]} == -* ]]; then _describe -o flag flags; return; fi
  if (( \${#verbs} )); then _describe command verbs; else _files; fi
}
if [[ $funcstack[1] == _citadel_agent ]]; then _citadel_agent "$@"; else compdef _citadel_agent citadel-agent; fi
`;
}

function fishScript(places: readonly CompletionPlace[]): string {
  const fishQuoted = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
  const lines = places.flatMap(({ path, words, flags }) => {
    const start = `complete -c citadel-agent -n ${fishQuoted(`__citadel_agent_at ${path}`)}`;
    return [
      ...words.map(
        ({ word, summary }) => `${start} -f -a ${fishQuoted(word)} -d ${fishQuoted(summary)}`,
      ),
      ...flags.map(({ word, summary, values }) => {
        const value =
          values === undefined
            ? ""
            : values.length === 0
              ? " -r"
              : ` -x -a ${fishQuoted(values.join(" "))}`;
        return `${start} -l ${fishQuoted(word.slice(2))}${value} -d ${fishQuoted(summary)}`;
      }),
    ];
  });
  return `# fish completion of citadel-agent; load it with: citadel-agent completion fish | source
function __citadel_agent_at
    set -l place ''
    set -l known ${commandPaths(places).join(" ")}
    for word in (commandline -opc)[2..-1]
        if contains -- "$place/$word" $known
            set place "$place/$word"
        end
    end
    test "$place" = "$argv[1]"; or test "$place" = '' -a "$argv[1]" = /
end
${lines.join("\n")}
`;
}
