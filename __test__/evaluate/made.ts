import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import type { EvaluationResults, ScoredDocument, TaskResults } from '../../src/evaluate/index.js'
import { temporaryFolder } from '../support.js'

/** A document of four choices of which one is taken, with what differs from it. */
export function made(
  label: string,
  id: number,
  correct: boolean,
  changes: Partial<ScoredDocument> = {},
): ScoredDocument {
  const gold = id % 4
  const chosen = correct ? gold : (gold + 1) % 4
  const choices = [0, 1, 2, 3].map((index) => ({
    text: ` choice ${index}`,
    loglikelihood: index === chosen ? -1.25 : -2 - index / 8,
    characters: 9,
    bytes: 9,
    tokens: 2,
  }))
  return {
    ...{ label, doc_id: id, native_id: `${label}-${id}`, prompt: `Question: ${id}?\nAnswer:` },
    ...{ choices, gold, chosen, correct, metrics: { acc: Number(correct), bpb_v1: 1 + id / 64 } },
    ...changes,
  }
}

/** The task that documents make. */
export function taskOf(documents: readonly ScoredDocument[], primary = 'acc'): TaskResults {
  const good = documents.filter(({ error }) => error === undefined)
  const mean = (name: string) =>
    good.reduce((sum, { metrics }) => sum + (metrics[name] ?? 0), 0) / (good.length || 1)
  const acc = mean('acc')
  const error = Math.sqrt((acc * (1 - acc)) / Math.max(1, good.length - 1))
  return {
    harness: 'ai2-olmo-eval',
    primary,
    documents: good.length,
    failed: documents.length - good.length,
    metrics: { acc, bpb_v1: mean('bpb_v1') },
    stderr: { acc: error, bpb_v1: 0.01 },
    ours: {},
  }
}

/** The folder of an evaluation with these documents. */
export async function evaluationFolder(
  documents: readonly ScoredDocument[],
  changes: Partial<EvaluationResults> = {},
): Promise<string> {
  const folder = await temporaryFolder()
  await writeEvaluation(folder, documents, changes)
  return folder
}

export async function writeEvaluation(
  folder: string,
  documents: readonly ScoredDocument[],
  changes: Partial<EvaluationResults> = {},
): Promise<void> {
  const labels = [...new Set(documents.map(({ label }) => label))]
  const tasks = labels.map((label) => [
    label,
    taskOf(documents.filter((document) => document.label === label)),
  ])
  const results: EvaluationResults = {
    model: 'some/model',
    harness: 'ai2-olmo-eval',
    created: '2026-11-30T05:00:00.000Z',
    tasks: Object.fromEntries(tasks),
    ...changes,
  }
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'results.json'), JSON.stringify(results))
  const lines = documents.map((document) => `${JSON.stringify(document)}\n`)
  await writeFile(join(folder, 'documents.jsonl'), lines.join(''))
}
