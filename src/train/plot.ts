import { checkArgument } from '../arguments.js'
import {
  colorOf,
  drawChart,
  PANEL,
  type PanelContent,
  type Series,
  SMALL_PANEL,
  stageMark,
} from '../plot/chart.js'
import { padded, rangeOf, stretched } from '../plot/ranges.js'
import { linearScale, logScale, shortCount } from '../plot/scale.js'
import { clip, decimal, round } from '../plot/svg.js'
import { type Curve, trainCurves } from './curves.js'
import type { TrainMetric } from './events.js'

/**
 * Draws a run as SVG: training loss, bits per byte of held-out text by source, learning rate and gradient
 * norm, over the tokens read. Several anneals overlap, because all begin where stage 1 ended.
 *
 * @param title Default: a generic title
 */
export function trainPlot(metrics: readonly TrainMetric[], title = 'training run'): string {
  checkArgument('title', title, 'text')
  const curves = trainCurves(metrics)
  const { loss, learningRate, gradNorm, validation, stage2, steps, mean } = curves
  const all = [loss, ...validation].flatMap(({ pieces }) => pieces.flat())
  const range = rangeOf([0, ...all.map(({ tokens }) => tokens)])
  const lines = validation.map((curve, index) => seriesOf(curve, colorOf(index), 'bits/byte'))
  const panels = [
    linear('training loss, nats per token', PANEL, [lineOf(loss)]),
    linear('held-out text, bits per byte', PANEL, lines),
    linear('learning rate', SMALL_PANEL, [lineOf(learningRate)]),
    logarithmic('gradient norm before clipping (log scale)', SMALL_PANEL, [lineOf(gradNorm)]),
  ]
  const means = mean > 1 ? `; lines of training are means of ${mean} steps` : ''
  return drawChart({
    title: clip(title, 72),
    subtitle: `${steps} steps${means}`,
    legend: lines.map(({ name, color }) => ({ name: clip(name, 44), color })),
    x: {
      title: 'tokens read',
      scale: (places) => linearScale(range, places, 8, shortCount),
    },
    panels: panels.filter(({ series }) => series.some(({ pieces }) => pieces.length > 0)),
    marks: (panels, x) =>
      stage2 === undefined ? [] : stageMark(2, round(x.place(stage2)), panels),
  })
}

const LINE = '#333333'

function lineOf(curve: Curve): Series {
  return { ...seriesOf(curve, LINE, curve.name), plain: true }
}

function seriesOf({ name, pieces }: Curve, color: string, unit: string): Series {
  const points = pieces.map((piece) =>
    piece.map(({ tokens, value, at: { stage, step } }) => ({
      x: tokens,
      y: value,
      label: `${name}\nstage ${stage}, step ${step}\n${unit}: ${decimal(value)}`,
    })),
  )
  return { name, color, pieces: points }
}

function linear(title: string, height: number, series: Series[]): PanelContent {
  const scale = (places: [number, number]) => linearScale(padded(series, false), places, 6, label)
  return { title, height, series, scale }
}

function logarithmic(title: string, height: number, series: Series[]): PanelContent {
  const positive = series.map((one) => {
    const pieces = one.pieces.map((piece) => piece.filter(({ y }) => y > 0))
    return { ...one, pieces: pieces.filter((piece) => piece.length > 0) }
  })
  const scale = (places: [number, number]) => logScale(stretched(positive), places, 5, label)
  return { title, height, series: positive, scale }
}

/** Three digits that count: learning rates are small. */
function label(value: number): string {
  return String(Number(value.toPrecision(3))).replace('-', '−')
}
