import { checkArguments, checkObject } from '../arguments.js'
import { checkReplaceable, writeResult } from '../files.js'
import { isChart } from '../plot/chart.js'
import type { TrainMetric } from './events.js'
import { trainPlot } from './plot.js'

/**
 * Draws a run, as {@link trainPlot} does, into an SVG file, which is there whole or not at all.
 *
 * @param options.title Default: none but what it is
 * @param options.force Replace a file that exists and is not a chart of this library's. Default false.
 * @throws {OptionError} if such a file is there
 * @throws {CheckpointError} `IO` if it cannot be written
 */
export async function writeTrainPlot(
  metrics: readonly TrainMetric[],
  out: string,
  options: { title?: string | undefined; force?: boolean | undefined } = {},
): Promise<void> {
  checkArguments({ metrics: [metrics, 'metrics'], out: [out, 'path'] })
  checkObject('options', options, { title: 'text', force: 'flag' })
  const { title, force = false } = options
  if (!force) await checkReplaceable(out, 'out', isChart)
  await writeResult(out, trainPlot(metrics, title))
}
