import { type Node, nameOf, posix, type Value } from './tree.js'

export function zsh(nodes: Node[]): string {
  const paths = nodes.slice(1).map((node) => posix(nameOf(node)))
  return `#compdef olmo2
# Completion of olmo2 for zsh: eval "$(olmo2 completion zsh)" after compinit, or as a file _olmo2 in $fpath
_olmo2() {
  local command= word previous=\${words[CURRENT-1]}
  local -a flags below
  for word in \${words[2,CURRENT-1]}; do
    case "$command/$word" in
      ${paths.join('|')}) command="$command/$word" ;;
    esac
  done
  case "$command $previous" in
${nodes.flatMap(values).join('\n')}
  esac
  case "$command" in
${nodes.map(words).join('\n')}
  esac
  if [[ \${words[CURRENT]} == -* ]]; then
    _describe -o flag flags
  else
    (( $#below )) && _describe command below
    _files
  fi
}
if [[ \${funcstack[1]} == _olmo2 ]]; then
  _olmo2 "$@"
else
  compdef _olmo2 olmo2
fi
`
}

/** What may follow a flag. */
function values(node: Node): string[] {
  return node.flags.flatMap(({ names, value }) => {
    if (value === undefined) return []
    const pattern = names.map((name) => posix(`${nameOf(node)} ${name}`)).join('|')
    return [`    ${pattern}) ${offer(value)}return ;;`]
  })
}

function offer(value: Value): string {
  if (value === 'text') return ''
  return value === 'path' ? '_files; ' : `compadd -- ${value.map(posix).join(' ')}; `
}

function words(node: Node): string {
  const flags = node.flags.flatMap(({ names, about }) => names.map((name) => entry(name, about)))
  const below = node.words.map(({ word, about }) => entry(word, about))
  return `    ${posix(nameOf(node))}) flags=(${flags.join(' ')}); below=(${below.join(' ')}) ;;`
}

/** A word and what it does: a colon parts them. */
const entry = (word: string, about: string) =>
  posix(`${word.replaceAll(':', '\\:')}${about ? `:${about}` : ''}`)
