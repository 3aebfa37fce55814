import { checkArguments, checkObject } from '../arguments.js'
import { checkReplaceable, writeResult } from '../files.js'
import { isChart } from '../plot/chart.js'
import type { TrainMetric } from './events.js'
import { trainPlot } from './plot.js'

/**
 * Draws a run, as {@link trainPlot} does, into an SVG file, which is complete or absent.
 *
 * @param options.title Default: a generic title
 * @param options.force Replace an existing file that is not a chart of this library. Default false.
 * @throws {OptionError} if such a file exists
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
