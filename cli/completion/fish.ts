import { type Node, nameOf, posix, type Value } from './tree.js'

export function fish(nodes: Node[]): string {
  const paths = nodes.slice(1).map((node) => posix(nameOf(node)))
  return `# Completion of olmo2 for fish: olmo2 completion fish > ~/.config/fish/completions/olmo2.fish
function __olmo2_at --description 'Whether just this command of olmo2 is called'
    set -l called
    set -l words (commandline -opc)
    set -e words[1]
    for word in $words
        switch "$called/$word"
            case ${paths.join(' ')}
                set called "$called/$word"
        end
    end
    test "$called" = "$argv[1]"
end
${nodes.flatMap(lines).join('\n')}
`
}

function lines(node: Node): string[] {
  const here = `complete -c olmo2 -n ${posix(`__olmo2_at '${nameOf(node)}'`)}`
  const below = node.words.map(({ word, about }) => `${here} -f -a ${posix(word)}${text(about)}`)
  const flags = node.flags.map(({ names, about, value }) => {
    const spelt = names.map((name) =>
      name.startsWith('--') ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`,
    )
    return `${here} ${spelt.join(' ')}${takes(value)}${text(about)}`
  })
  return [...below, ...flags]
}

/** `-r` has fish offer files, and `-x` not. */
function takes(value: Value | undefined): string {
  if (value === undefined) return ''
  if (value === 'path') return ' -r -F'
  return value === 'text' ? ' -x' : ` -x -a ${posix(value.join(' '))}`
}

const text = (about: string) => (about ? ` -d ${posix(about)}` : '')
