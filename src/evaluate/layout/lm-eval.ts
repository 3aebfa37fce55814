import { createHash } from 'node:crypto'
import { type FileHandle, mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'

import { checkArguments } from '../../arguments.js'
import { CheckpointError } from '../../errors.js'
import { flush, temporaryName, writeResult } from '../../files.js'
import { reasonOf } from '../../realm.js'
import { metricKind } from '../metric-kind.js'
import { firstOfEach, readDocuments, readResults } from '../read.js'
import type { EvaluationResults, ScoredDocument, TaskResults } from '../results.js'

/**
 * Writes an evaluation as EleutherAI's `lm_eval` 0.4.13 lays out its own, so that what reads those reads
 * it: `MODEL/results_DATE.json`, and a `samples_TASK_DATE.jsonl` for each task. What this library does
 * not know, such as whether a continuation is the greedy one, is `None` there, or not there.
 *
 * @param folder The evaluation's folder
 * @param out Where the model's folder goes
 * @returns The files
 * @throws {CheckpointError} if there are no results, or the files cannot be written
 */
export async function writeLmEval(folder: string, out: string): Promise<string[]> {
  checkArguments({ folder: [folder, 'path'], out: [out, 'path'] })
  const results = await readResults(folder)
  const place = join(out, results.model.replaceAll(/["<>:/|\\?*[\]]+/g, '__'))
  const date = dateId(results.created)
  const labels = Object.keys(results.tasks)
  const fileOf = (label: string) => `samples_${label.replaceAll(/\W/g, '_')}_${date}.jsonl`
  const names = new Map(labels.map((label) => [label, join(place, fileOf(label))]))
  const hashes = await writeSamples(folder, place, names)
  const table = join(place, `results_${date}.json`)
  await writeResult(table, `${JSON.stringify(layout(results, hashes), null, 2)}\n`)
  return [table, ...names.values()]
}

/** As Python writes a time, with what no file name may have replaced. */
function dateId(created: string): string {
  const date = new Date(created)
  if (Number.isNaN(date.getTime()))
    throw new CheckpointError('INVALID_FILE', `results.json: created is ${JSON.stringify(created)}`)
  return `${date.toISOString().slice(0, -1).replaceAll(':', '-')}000`
}

function layout(results: EvaluationResults, hashes: ReadonlyMap<string, string>): object {
  const { model, revision, created, harness, notes, tasks } = results
  const entries = Object.entries(tasks)
  const each = <T>(of: (task: TaskResults, label: string) => T) =>
    Object.fromEntries(entries.map(([label, task]) => [label, of(task, label)]))
  const revised = revision === undefined ? '' : `,revision=${revision}`
  return {
    results: each(metricsOf),
    group_subtasks: each(() => []),
    configs: each(({ harness, primary }, task) => ({ task, metadata: { harness, primary } })),
    versions: each(() => null),
    'n-shot': {},
    higher_is_better: each((task) => higherIsBetter(task)),
    'n-samples': each(({ documents, failed }) => ({
      original: documents + failed,
      effective: documents,
    })),
    config: {
      model: 'olmo2',
      model_args: `pretrained=${model}${revised}`,
      model_revision: revision ?? 'main',
      limit: null,
      metadata: { harness, notes: notes ?? [] },
    },
    date: new Date(created).getTime() / 1000,
    model_source: 'olmo2',
    model_name: model,
    model_name_sanitized: model.replaceAll(/["<>:/|\\?*[\]]+/g, '__'),
    task_hashes: Object.fromEntries(hashes),
  }
}

/** `acc,none` and `acc_stderr,none`: `none` is the name of the filter that changes nothing. */
function metricsOf({ metrics, stderr, ours, documents }: TaskResults, label: string): object {
  const all = Object.entries({ ...metrics, ...ours }).flatMap(([name, value]) => [
    [`${name},none`, value],
    [`${name}_stderr,none`, stderr[name] ?? 'N/A'],
  ])
  return { name: label, alias: label, sample_len: documents, ...Object.fromEntries(all) }
}

function higherIsBetter({ metrics, ours }: TaskResults): Record<string, boolean> {
  const names = [...Object.keys(metrics), ...Object.keys(ours)]
  return Object.fromEntries(names.map((name) => [name, metricKind(name) !== 'cost']))
}

/** Writes each task's documents, and gives for each the hash over all of theirs. */
async function writeSamples(
  folder: string,
  place: string,
  names: ReadonlyMap<string, string>,
): Promise<Map<string, string>> {
  const files = new Map<string, SampleFile>()
  try {
    await mkdir(place, { recursive: true })
    for (const [label, name] of names) files.set(label, await SampleFile.create(name))
    for await (const document of firstOfEach(readDocuments(folder))) {
      if (document.error === undefined) await files.get(document.label)?.add(document)
    }
    for (const file of files.values()) await file.finish()
  } catch (cause) {
    for (const file of files.values()) await file.discard()
    if (cause instanceof CheckpointError) throw cause
    throw new CheckpointError('IO', `cannot write into ${place}: ${reasonOf(cause)}`, { cause })
  }
  return new Map([...files].map(([label, file]) => [label, file.hash]))
}

/** A file of samples that gets its name when it is whole. */
class SampleFile {
  readonly #path: string
  readonly #temporary: string
  readonly #file: FileHandle
  readonly #hash = createHash('sha256')
  #waiting: string[] = []
  #held = 0
  #result = ''

  private constructor(path: string, temporary: string, file: FileHandle) {
    this.#path = path
    this.#temporary = temporary
    this.#file = file
  }

  static async create(path: string): Promise<SampleFile> {
    const temporary = temporaryName(path, 'tmp')
    return new SampleFile(path, temporary, await open(temporary, 'wx'))
  }

  /** Known once the file is finished. */
  get hash(): string {
    return this.#result
  }

  async add(document: ScoredDocument): Promise<void> {
    const sample = sampleOf(document)
    this.#hash.update(sample.doc_hash + sample.prompt_hash + sample.target_hash)
    const line = `${JSON.stringify(sample)}\n`
    this.#waiting.push(line)
    this.#held += line.length
    if (this.#held > 1 << 20) await this.#flush()
  }

  async finish(): Promise<void> {
    await this.#flush()
    await flush(this.#file)
    await this.#file.close()
    await rename(this.#temporary, this.#path)
    this.#result = this.#hash.digest('hex')
  }

  async discard(): Promise<void> {
    await this.#file.close().catch(() => {})
    await rm(this.#temporary, { force: true })
  }

  async #flush(): Promise<void> {
    await this.#file.appendFile(this.#waiting.join(''))
    this.#waiting = []
    this.#held = 0
  }
}

/** A text that can be UTF-8, which half of a surrogate pair cannot. */
function wellFormed<T extends string | undefined>(text: T): T | string {
  return text === undefined ? text : text.replaceAll(/\p{Cs}/gu, '\uFFFD')
}

/** A document as `lm_eval` logs one; numbers in answers are texts there. */
function sampleOf(document: ScoredDocument) {
  const { doc_id, choices, gold, metrics } = document
  const prompt = wellFormed(document.prompt)
  const generated = wellFormed(document.generated)
  const texts = choices.map(({ text }) => wellFormed(text))
  const doc = {
    ...{ prompt, choices: texts, gold },
    ...{ native_id: wellFormed(document.native_id), subject: wellFormed(document.subject) },
  }
  const pairs = choices.map((choice, index) => [wellFormed(choice.prompt) ?? prompt, texts[index]])
  const requests = generated === undefined ? pairs : [[prompt, '']]
  const answers =
    generated === undefined
      ? choices.map(({ loglikelihood }) => [String(loglikelihood), 'None'])
      : [generated]
  const target = String(gold)
  return {
    doc_id,
    doc,
    target,
    arguments: Object.fromEntries(
      requests.map(([context, continuation], index) => [
        `gen_args_${index}`,
        { arg_0: context, arg_1: continuation },
      ]),
    ),
    resps: answers.map((answer) => [answer]),
    filtered_resps: answers,
    filter: 'none',
    metrics: Object.keys(metrics),
    doc_hash: sha256(JSON.stringify(doc, null, 2)),
    prompt_hash: sha256(prompt),
    target_hash: sha256(target),
    ...metrics,
  }
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
