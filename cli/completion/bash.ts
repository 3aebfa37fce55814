import { type Node, nameOf, posix, type Value } from './tree.js'

/** Where a script has nothing to offer, `-o default` has bash complete files. */
export function bash(nodes: Node[]): string {
  return `# Completion of olmo2 for bash, 3.2 or later: eval "$(olmo2 completion bash)"
_olmo2() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]} command= i
  # bash takes the sign out of --flag=value.
  if [[ $current == '=' ]]; then
    current=
  elif [[ $previous == '=' ]]; then
    previous=\${COMP_WORDS[COMP_CWORD - 2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command/\${COMP_WORDS[i]}" in
      ${paths(nodes)}) command="$command/\${COMP_WORDS[i]}" ;;
    esac
  done
  COMPREPLY=()
  case "$command $previous" in
${nodes.flatMap(values).join('\n')}
  esac
  case "$command" in
${nodes.map(words).join('\n')}
  esac
}
complete -o default -F _olmo2 olmo2
`
}

/** Every command but the program itself, as a pattern of \`case\`. */
const paths = (nodes: Node[]) =>
  nodes
    .slice(1)
    .map((node) => posix(nameOf(node)))
    .join('|')

/** What may follow a flag. */
function values(node: Node): string[] {
  return node.flags.flatMap(({ names, value }) => {
    if (value === undefined) return []
    const pattern = names.map((name) => posix(`${nameOf(node)} ${name}`)).join('|')
    return [`    ${pattern}) ${offer(value)}return ;;`]
  })
}

/** Without `compopt`, before bash 4, files are offered for a text too. */
function offer(value: Value): string {
  if (value === 'path') return ''
  return value === 'text' ? 'compopt +o default 2>/dev/null; ' : `${reply(value)}; `
}

function words(node: Node): string {
  const flags = node.flags.flatMap(({ names }) => names)
  const all = node.words.map(({ word }) => word)
  const others = all.length > 0 ? `else ${reply(all)}; ` : ''
  return `    ${posix(nameOf(node))}) if [[ $current == -* ]]; then ${reply(flags)}; ${others}fi ;;`
}

const reply = (words: readonly string[]) =>
  `COMPREPLY=($(compgen -W ${posix(words.join(' '))} -- "$current"))`
