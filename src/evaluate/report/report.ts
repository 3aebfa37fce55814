import { join } from 'node:path'

import { checkArgument, checkObject, type Shape } from '../../arguments.js'
import { checkReplaceable, writeResult } from '../../files.js'
import { readDocuments, readResults } from '../read.js'
import { gather } from './gather.js'
import { PAGE_HEAD, page } from './page.js'

/** Options of {@link evaluationReport}. */
export interface ReportOptions {
  /** The most documents of a task that are shown. Default 500. */
  documents?: number | undefined
}

/** Options of {@link writeEvaluationReport}. */
export interface WriteReportOptions extends ReportOptions {
  /** Where the page goes. Default: `report.html` in the evaluation's folder. */
  out?: string | undefined
  /** Replace a file that exists and is not such a page. Default false. */
  force?: boolean | undefined
}

const reportShape = { documents: 'count' } as const satisfies Shape
const writeShape = { ...reportShape, out: 'path', force: 'flag' } as const satisfies Shape

/** Characters of all documents' texts together, so that a browser opens the page. */
const CHARACTERS = 24e6

/**
 * An evaluation as one HTML file that needs nothing else: charts with errors, the numbers, and documents
 * with their prompts, choices and scores, to filter and to search.
 *
 * @param folder The evaluation's folder
 * @throws {CheckpointError} if it has no results, or its files are damaged
 */
export async function evaluationReport(
  folder: string,
  options: ReportOptions = {},
): Promise<string> {
  checkArgument('folder', folder, 'path')
  checkObject('options', options, reportShape)
  const { documents: most = 500 } = options
  const results = await readResults(folder)
  const labels = Object.keys(results.tasks)
  const how = { documents: most, characters: CHARACTERS, labels }
  return page(results, await gather(readDocuments(folder), how))
}

/**
 * Writes what {@link evaluationReport} makes into a file, which is there whole or not at all.
 *
 * @returns The path of the file
 * @throws {OptionError} if a file exists that is not such a page
 */
export async function writeEvaluationReport(
  folder: string,
  options: WriteReportOptions = {},
): Promise<string> {
  checkArgument('folder', folder, 'path')
  checkObject('options', options, writeShape)
  const { out = join(folder, 'report.html'), force = false, documents } = options
  if (!force) await checkReplaceable(out, 'out', (head) => head.startsWith(PAGE_HEAD))
  await writeResult(out, await evaluationReport(folder, { documents }))
  return out
}
