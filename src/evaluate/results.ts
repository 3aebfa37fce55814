/**
 * What an evaluation leaves in its folder: `results.json`, the table, and `documents.jsonl`, a line for
 * each document.
 */

/** The code whose prompts and metrics count: PyPI's `ai2-olmo`, or `ai2-olmo-eval`. */
export type Harness = 'ai2-olmo' | 'ai2-olmo-eval'

/** Numbers by the names of metrics. */
export type Metrics = Record<string, number>

/** The name of the table in an evaluation's folder. */
export const RESULTS_FILE = 'results.json'

/** The name of the file with the documents in an evaluation's folder. */
export const DOCUMENTS_FILE = 'documents.jsonl'

/** `results.json`. */
export interface EvaluationResults {
  /** The model as it was named: a folder, a file or an id on the hub. */
  model: string
  /** The revision that was asked for, of a model on the hub. */
  revision?: string
  /** The harness that was asked for; a task that it lacks has the other one's name beside it. */
  harness: Harness
  /** Examples in the prompts, where another number than the tasks' own was asked for. */
  shots?: number
  /** When the evaluation began, in ISO 8601. */
  created: string
  /** What there is to know about the numbers, such as that the vocabulary is not the harness's. */
  notes?: string[]
  /** By label, in the order that was asked for. */
  tasks: Record<string, TaskResults>
}

/** What a task came to. */
export interface TaskResults {
  /** The harness whose metrics these are. */
  harness: Harness
  /** The name in `metrics` of the number that the harness reports for this label. */
  primary: string
  /** Documents that count. */
  documents: number
  /** Documents that could not be scored, and count nowhere. */
  failed: number
  /** The harness's metrics, by its names. */
  metrics: Metrics
  /** The standard errors of means over documents, by the metric's name. */
  stderr: Metrics
  /** Numbers that no harness gives, such as the mean over MMLU's subjects. */
  ours: Metrics
}

/** One continuation of a document, as the model sees it. */
export interface ScoredChoice {
  /** The continuation, with the blank it begins with. */
  text: string
  /** The sum of the natural logarithms of its tokens' probabilities. */
  loglikelihood: number
  /** Code points, all of them. */
  characters: number
  /** Bytes in UTF-8, all of them. */
  bytes: number
  tokens: number
  /** What the model reads for it: context and continuation, cut from the left, without the last token. */
  query_tokens?: number
  /** How much of that is context. */
  context_tokens?: number
  /** The log-likelihood after the task's neutral prompt, for `pmi_dc`. */
  unconditional?: number
  /** What stands before this continuation, where each has a prompt of its own, as in WinoGrande. */
  prompt?: string
}

/** A line of `documents.jsonl`. */
export interface ScoredDocument {
  label: string
  harness?: Harness
  /** What it is counted by, such as `len_norm`. */
  metric?: string
  /** The document's place in its task, from 0. */
  doc_id: number
  /** What its data set calls it. */
  native_id?: string
  /** The part of the task that it belongs to, such as MMLU's subject. */
  subject?: string
  /** What the model is given before a choice; of several prompts the first. */
  prompt: string
  choices: ScoredChoice[]
  /** Which choice is right, from 0. */
  gold: number
  /** Which choice the task's metric takes; of one that compares nothing, and of a failed one, null. */
  chosen: number | null
  /** Whether that is the right one; null if none is taken. */
  correct: boolean | null
  /** What this document adds to each mean. */
  metrics: Metrics
  /** Why it could not be scored; then it has no metrics. */
  error?: string
  /** What the model wrote, of a task that it answers with text. */
  generated?: string
}
