import type { Unit } from '../src/bench/metrics.js'
import type { Limits, Machine } from './machine.js'
import type { Result } from './rounds.js'

/** What a run prints with `--json`. */
export interface Report {
  machine: Machine
  limits: Limits | null
  shape: string
  rounds: number
  results: Result[]
  /** The same beside torch; with `--torch`. */
  torch?: Result[]
}

/** A run as a section in Markdown. */
export function markdown(report: Report): string {
  const { machine, limits, results, torch } = report
  return [
    `### ${machine.cpu}, ${machine.date}`,
    describe(report),
    ...(limits ? [limitsTable(limits)] : []),
    resultsTable(results, machine.rival ? `node-llama-cpp ${machine.rival}` : 'rival'),
    ...(torch ? [resultsTable(torch, 'torch, eager')] : []),
  ].join('\n\n')
}

function describe({ machine, shape, rounds }: Report): string {
  const { features, cores, threads, memory, gpu, system, node, olmo2, commit } = machine
  const parts = [
    `OLMo 2 ${shape} shape`,
    `${threads} threads on ${cores} cores`,
    features.join(' ') || 'no known features',
    `${(memory / 2 ** 30).toFixed(0)} GiB`,
    ...(gpu ? [gpu] : []),
    system,
    `Node ${node}`,
    `olmo2 ${olmo2}${commit ? ` at ${commit}` : ''}`,
    `${rounds} rounds`,
  ]
  return `${parts.join('; ')}.`
}

function limitsTable(limits: Limits): string {
  const rows = Object.entries(limits).filter(([name]) => name !== 'threads')
  return grid([
    ['limit', 'measured'],
    ...rows.map(([name, value]) => [name, value === null ? 'none' : String(value)]),
  ])
}

function resultsTable(results: readonly Result[], rival: string): string {
  const rows = results.map(({ dtype, metric, unit, ours, rival, ratio }) => [
    dtype,
    metric,
    show(ours, unit),
    rival === null ? '' : show(rival, unit),
    ...(ratio
      ? [ratio.median, ratio.min, ratio.max].map((value) => value.toFixed(2))
      : ['', '', '']),
  ])
  return grid([['type', 'metric', 'olmo2', rival, 'ratio', 'min', 'max'], ...rows])
}

function show(value: number, unit: Unit): string {
  if (unit === 'bytes') return `${(value / 2 ** 20).toFixed(0)} MiB`
  if (unit === 'ms') return `${value.toFixed(0)} ms`
  return value.toFixed(value < 100 ? 1 : 0)
}

/** A table that also reads well as it stands. */
function grid([head = [], ...rows]: string[][]): string {
  const width = (column: number) =>
    Math.max(3, ...[head, ...rows].map((row) => row[column]?.length ?? 0))
  const line = (cells: string[]) =>
    `| ${cells.map((cell, column) => (column < 2 ? cell.padEnd(width(column)) : cell.padStart(width(column)))).join(' | ')} |`
  const rule = head.map((_, column) => {
    const dashes = '-'.repeat(width(column))
    return column < 2 ? dashes : `${dashes.slice(1)}:`
  })
  return [line(head), line(rule), ...rows.map(line)].join('\n')
}

const BEGIN = '<!-- results: written by `npm run bench -- --record` -->'
const END = '<!-- end of results -->'
/** What stands behind it, up to the next run, was written by hand. */
const END_OF_RUN = '<!-- end of run -->'

/**
 * The README with a run in its section of results, in place of one of the same CPU, shape and number
 * of threads.
 */
export function withResults(readme: string, report: Report): string {
  const begin = readme.indexOf(BEGIN)
  const end = readme.indexOf(END)
  if (begin < 0 || end < begin) throw new Error('bench/README.md has no place for results')
  const known = readme.slice(begin + BEGIN.length, end)
  const key = `<!-- run: ${report.machine.cpu}, ${report.shape}, ${report.machine.threads} threads -->`
  const runs = known.split(/(?=<!-- run: )/).filter((run) => run.startsWith('<!-- run: '))
  const others = runs.filter((run) => !run.startsWith(key)).map((run) => run.trim())
  const [, byHand = ''] = runs.find((run) => run.startsWith(key))?.split(END_OF_RUN) ?? []
  const run = `${key}\n\n${markdown(report)}\n\n${END_OF_RUN}\n\n${byHand.trim()}`.trim()
  const all = [...others, run]
  return `${readme.slice(0, begin)}${BEGIN}\n\n${all.join('\n\n')}\n\n${readme.slice(end)}`
}
