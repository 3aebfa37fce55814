import { type Node, nameOf } from './tree.js'

/** Where a script has nothing to offer, PowerShell completes files. */
export function powershell(nodes: Node[]): string {
  return `# Completion of olmo2 for PowerShell: olmo2 completion powershell | Out-String | Invoke-Expression
Register-ArgumentCompleter -Native -CommandName olmo2 -ScriptBlock {
  param($current, $ast, $position)
  $words = @{
${nodes.map(words).join('\n')}
  }
  $values = @{
${nodes.flatMap(values).join('\n')}
  }
  $before = @($ast.CommandElements | Select-Object -Skip 1 |
    Where-Object { $_.Extent.EndOffset -lt $position } | ForEach-Object { $_.Extent.Text })
  $command = ''
  foreach ($word in $before) {
    if ($words.ContainsKey("$command/$word")) { $command = "$command/$word" }
  }
  $previous = if ($before.Count -gt 0) { $before[-1] } else { '' }
  $key = "$command $previous"
  $offered = if ($values.ContainsKey($key)) { $values[$key] } else { $words[$command] }
  foreach ($pair in $offered) {
    $word, $about = $pair -split ' ', 2
    if ($word.StartsWith($current) -and ($current -or -not $word.StartsWith('-'))) {
      [System.Management.Automation.CompletionResult]::new($word, $word, 'ParameterValue', $about)
    }
  }
}
`
}

function words(node: Node): string {
  const below = node.words.map(({ word, about }) => pair(word, about))
  const flags = node.flags.flatMap(({ names, about }) => names.map((name) => pair(name, about)))
  return `    ${quoted(nameOf(node))} = @(${[...below, ...flags].join(', ')})`
}

/** What may follow a flag; where that is open, nothing is offered. */
function values(node: Node): string[] {
  return node.flags.flatMap(({ names, about, value }) => {
    if (value === undefined) return []
    const list = typeof value === 'string' ? '' : value.map((word) => pair(word, about)).join(', ')
    return names.map((name) => `    ${quoted(`${nameOf(node)} ${name}`)} = @(${list})`)
  })
}

/** A word and what it does, which must not be empty; the first space parts them. */
const pair = (word: string, about: string) => quoted(`${word} ${about || word}`)

const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`
