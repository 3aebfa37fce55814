import { join } from 'node:path'

import type { Command } from 'commander'

import {
  type Curve,
  readMetrics,
  type TrainCurves,
  trainCurves,
  writeTrainPlot,
} from '../../src/train/index.js'
import { columns, note, write } from '../output.js'
import { count } from '../ui/format.js'
import { lineChart, sparkline } from '../ui/line-chart.js'
import { table } from '../ui/table.js'

export function plot(program: Command): void {
  program
    .command('plot')
    .description('draw the curves of a training run, here and as SVG')
    .argument('<run>', 'folder of the run: `output` in its config')
    .option('-o, --out <file>', 'SVG file to write (default: plot.svg in the run)')
    .option('--force', 'replace an existing file that is not such a plot')
    .action(run)
}

interface Options {
  out?: string
  force?: boolean
}

async function run(folder: string, { out, force = false }: Options): Promise<void> {
  const metrics = await readMetrics(folder)
  const file = out ?? join(folder, 'plot.svg')
  await writeTrainPlot(metrics, file, { title: folder, force })
  const width = Math.min(columns() ?? 80, 120)
  const curves = trainCurves(metrics)
  await write(`${curves.steps === 0 ? 'no step has finished yet' : charts(curves, width)}\n`)
  note(`written: ${file}`)
}

function charts(curves: TrainCurves, width: number): string {
  const { loss, learningRate, gradNorm, validation, steps } = curves
  const tokens = Math.max(...loss.pieces.flat().map((point) => point.tokens))
  const range = [0, tokens] as const
  const chart = (title: string, { pieces }: Curve, height: number) => {
    const line = pieces.map((piece) => piece.map(({ tokens, value }) => ({ x: tokens, y: value })))
    return [title, ...lineChart(line, { width, height, range, label: short }), '']
  }
  return [
    ...chart(`training loss, nats per token: ${short(lastOf(loss))} at the end`, loss, 8),
    ...heldOut(validation),
    ...chart('learning rate', learningRate, 4),
    ...chart('gradient norm before clipping', gradNorm, 4),
    `${count(steps)} steps; from 0 to ${count(tokens)} tokens`,
  ].join('\n')
}

/** A row for each source: its way, and its first, least and last value. */
function heldOut(validation: readonly Curve[]): string[] {
  if (validation.length === 0) return []
  const rows = validation.flatMap((curve) => {
    const values = curve.pieces.flat().map(({ value }) => value)
    const [first] = values
    if (first === undefined) return []
    const least = values.reduce((a, b) => Math.min(a, b))
    const way = sparkline(values, 24).padEnd(24)
    return [[curve.name, way, ...[first, least, lastOf(curve)].map((value) => value.toFixed(4))]]
  })
  const head = ['held-out text, bits per byte', '', 'first', 'best', 'last']
  return [table([head, ...rows]), '']
}

function lastOf({ pieces }: Curve): number {
  return pieces.at(-1)?.at(-1)?.value ?? Number.NaN
}

function short(value: number): string {
  const small = value !== 0 && Math.abs(value) < 1e-3
  return small ? value.toExponential(2) : String(Number(value.toPrecision(4)))
}
