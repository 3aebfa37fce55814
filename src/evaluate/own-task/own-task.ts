import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'

import { checkObject, type Shape } from '../../arguments.js'
import { CheckpointError, OptionError } from '../../errors.js'
import { pull } from '../../hub/pull.js'
import type { HubOptions } from '../../hub/settings.js'
import { reasonOf } from '../../realm.js'
import { decodeText } from '../../text-file.js'
import { parseYaml } from '../../yaml.js'
import { type Question, readQuestions } from './rows.js'
import { fill } from './template.js'

/** A task of one's own, as its YAML file describes it. */
export interface OwnTask {
  /** What results call it. Default: the file's name without its ending. */
  name?: string | undefined
  /** The file with the questions, JSONL or Parquet, from where the YAML file is. */
  data: string
  /** A data set on the hub, as in `allenai/openbookqa`, in which these files are then. */
  hub?: string | undefined
  /** Its branch, tag or commit. Default `main`. */
  revision?: string | undefined
  /** The column with the choices, as in `choices.text`, or one for each. Default `choices`. */
  choices?: string | readonly string[] | undefined
  /** The column with the answer. Default `answer`. */
  answer?: string | undefined
  /** A file with questions to answer before each, in the same form. Default: none. */
  fewShot?: string | undefined
  /** How many of them, from the first on. Default: all. */
  shots?: number | undefined
  /** What stands before a choice, with places as in `{{question}}`. Default `{{prompt}}`. */
  template?: string | undefined
  /** A choice after it, at the place `{{choice}}`. Default ` {{choice}}`, with a blank before it. */
  continuation?: string | undefined
  /** What stands between a question that is answered before and the next. Default: an empty line. */
  separator?: string | undefined
  /** What stands before everything. Default: nothing. */
  description?: string | undefined
  /** `acc` or `len_norm` of choices, `bpb` or `ce_loss` of answers. Default `acc`, or `bpb`. */
  metric?: string | undefined
}

const shape = {
  name: 'name',
  data: 'path',
  hub: 'name',
  revision: 'name',
  choices: 'texts',
  answer: 'name',
  fewShot: 'path',
  shots: 'count',
  template: 'text',
  continuation: 'text',
  separator: 'text',
  description: 'text',
  metric: 'text',
} as const satisfies Shape

/** A document of such a task, as the engine scores it. */
export interface OwnDocument {
  native_id?: string
  subject?: string
  context: string
  choices: string[]
  gold: number
}

/** Such a task with its documents. */
export interface OwnTaskDocuments {
  name: string
  metric: string
  documents: OwnDocument[]
}

/** Whether the name of a task is the file of one's own. */
export function isOwnTask(name: string): boolean {
  return /\.(?:jsonl|parquet|ya?ml)$/.test(name)
}

/** Questions that are answered before another: more do not fit into any context. */
const MOST_SHOTS = 1000

/** Documents of a task, and characters of all their texts. */
const MOST_DOCUMENTS = 1 << 20
const MOST_CHARACTERS = 1 << 30

const METRICS = { choice: ['acc', 'len_norm'], answer: ['bpb', 'ce_loss'] } as const

/** What is asked for beside what a task's file says. */
export interface OwnTaskOptions {
  /** Another number of examples than the file's. */
  shots?: number | undefined
  /** Where the hub is, for data sets. */
  hub?: HubOptions | undefined
  signal?: AbortSignal | undefined
}

/**
 * Reads a task of one's own: a file with questions, or a YAML file that says more of it.
 *
 * @throws {CheckpointError} `IO` or `INVALID_FILE`, with the file and the line
 * @throws {HubError} if a data set cannot be fetched
 * @throws {OptionError} if it has no examples, and a number of them is asked for
 */
export async function readOwnTask(
  path: string,
  { shots, hub: place, signal }: OwnTaskOptions = {},
): Promise<OwnTaskDocuments> {
  const isYaml = /\.ya?ml$/.test(path)
  const task: OwnTask = isYaml ? await described(path) : { data: basename(path) }
  const { data, fewShot, hub, revision, name = basename(path).replace(/\.\w+$/, '') } = task
  if (shots !== undefined && fewShot === undefined)
    throw new OptionError('shots', `is ${shots}, but ${path} names no file with examples`)
  const from = async (file: string) => {
    if (!isYaml) return path
    if (hub === undefined) return resolve(dirname(path), file)
    const found = await pull(`datasets/${hub}`, { ...place, file, revision, signal })
    return join(found.path, file)
  }
  return documentsOf({
    ...task,
    ...(shots !== undefined && { shots }),
    name,
    data: await from(data),
    ...(fewShot !== undefined && { fewShot: await from(fewShot) }),
  })
}

async function described(path: string): Promise<OwnTask> {
  let bytes: Buffer
  try {
    bytes = await readFile(path)
  } catch (cause) {
    throw new CheckpointError('IO', `cannot read ${path}: ${reasonOf(cause)}`, { cause })
  }
  const task = await parseYaml(decodeText(bytes, path), path, 'a task')
  try {
    checkObject('task', task, shape)
    const { data } = task as Partial<OwnTask>
    if (data === undefined)
      throw new OptionError('data', 'is not there: the file with the questions')
  } catch (cause) {
    if (!(cause instanceof OptionError)) throw cause
    // It is no option of the caller's that is wrong.
    const problem = cause.wording((name) => `\`${name}\``).replace(/^option /, '')
    throw new CheckpointError('INVALID_FILE', `${path}: ${problem}`, { cause })
  }
  return task as OwnTask
}

async function documentsOf(task: OwnTask & { name: string }): Promise<OwnTaskDocuments> {
  const { name, data, description = '' } = task
  const before = description + (await examples(task))
  const documents: OwnDocument[] = []
  let kind: keyof typeof METRICS | undefined
  let characters = 0
  for await (const question of readQuestions(data, task)) {
    kind ??= kindOf(question)
    if (kind !== kindOf(question))
      throw invalid(question.where, 'either all questions of a file have `choices`, or none has')
    const document = documentOf(task, question, before)
    characters += document.context.length
    if (documents.length >= MOST_DOCUMENTS || characters > MOST_CHARACTERS)
      throw invalid(question.where, 'the task is too large to be held in memory: split it')
    documents.push(document)
  }
  if (kind === undefined) throw invalid(data, 'it has no question')
  return { name, metric: metricOf(task, kind), documents }
}

function metricOf({ name, metric }: OwnTask, kind: keyof typeof METRICS): string {
  const known: readonly string[] = METRICS[kind]
  if (metric === undefined || known.includes(metric)) return metric ?? METRICS[kind][0]
  const what = kind === 'choice' ? 'questions with choices' : 'questions with an answer alone'
  throw invalid(String(name), `\`metric\` is ${metric}, but ${what} have ${known.join(' or ')}`)
}

const kindOf = ({ isChoice }: Question) => (isChoice ? 'choice' : 'answer')

/** The questions of the other file with their answers. */
async function examples({ fewShot, shots = MOST_SHOTS, ...task }: OwnTask): Promise<string> {
  if (fewShot === undefined) {
    if (shots === MOST_SHOTS) return ''
    throw invalid(
      task.data,
      '`shots` says how many of the questions of `fewShot`, which is not there',
    )
  }
  const { separator = '\n\n' } = task
  const texts: string[] = []
  for await (const question of readQuestions(fewShot, task, Math.min(shots, MOST_SHOTS))) {
    const { context, choices, gold } = documentOf(task, question, '')
    texts.push(`${context}${choices[gold]}${separator}`)
  }
  const isShort = shots < MOST_SHOTS && texts.length < shots
  if (isShort) throw invalid(fewShot, `it has ${texts.length} questions, fewer than \`shots\``)
  return texts.join('')
}

function documentOf(
  { template = '{{prompt}}', continuation = ' {{choice}}' }: OwnTask,
  { where, row, choices, gold, id, subject }: Question,
  before: string,
): OwnDocument {
  return {
    ...(id !== undefined && { native_id: id }),
    ...(subject !== undefined && { subject }),
    context: before + fill(template, row, where),
    choices: choices.map((choice) => fill(continuation, { ...row, choice }, where)),
    gold,
  }
}

function invalid(where: string, problem: string): CheckpointError {
  return new CheckpointError('INVALID_FILE', `${where}: ${problem}`)
}
