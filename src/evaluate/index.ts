/**
 * `olmo2/evaluate`: how well models know a text, beside each other and beside n-gram models.
 *
 * @packageDocumentation
 */

export { type EvaluateAlongOptions, evaluateAlong } from './along/evaluate-along.js'
export { type AlongPoint, type AlongResult, isAlongFailure } from './along/types.js'
export { type Card, type CardRow, cardOf } from './card/card.js'
export type { CardSize } from './card/published.js'
export { type ComparedType, type CompareOptions, comparePerplexity } from './compare.js'
export { defaultDataFolder } from './data-folder.js'
export {
  type EvaluateOptions,
  type EvaluationProgress,
  evaluate,
} from './evaluate.js'
export { type FetchDataOptions, fetchEvaluationData } from './fetch.js'
export { type HeldOut, type HeldOutOptions, isPrepared, scoreHeldOut } from './held-out.js'
export { writeLmEval } from './layout/lm-eval.js'
export { type MergeOptions, mergeEvaluations } from './merge.js'
export { PARITY_HEAD, parityPage } from './parity/page.js'
export {
  type ParityGreedy,
  type ParityNumbers,
  type ParityOptions,
  type ParityReport,
  parity,
} from './parity/parity.js'
export { readDocuments, readResults } from './read.js'
export {
  evaluationReport,
  type ReportOptions,
  type WriteReportOptions,
  writeEvaluationReport,
} from './report/report.js'
export {
  DOCUMENTS_FILE,
  type EvaluationResults,
  type Harness,
  type Metrics,
  RESULTS_FILE,
  type ScoredChoice,
  type ScoredDocument,
  type TaskResults,
} from './results.js'
export {
  type ComparedTask,
  type CompareEvaluationsOptions,
  compareEvaluations,
  type EvaluationComparison,
} from './significance/compare-evaluations.js'
export { listTasks, type Task } from './tasks.js'
