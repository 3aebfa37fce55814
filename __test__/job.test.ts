import { join } from 'node:path'

import test from 'ava'

import { type Job, runJob } from '../src/engine/job.js'
import { native } from '../src/engine/native.js'
import { CancelledError, EngineError } from '../src/index.js'
import { root, tiny } from './support.js'

/** A job that does nothing until it is told to, and stops when it is asked to. */
class Fake implements Job<number, string> {
  #waiting: ((step: Promise<{ events: number[]; output?: string }>) => void)[] = []
  cancels = 0

  next(): Promise<{ events: number[]; output?: string }> {
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  cancel(): void {
    this.cancels += 1
  }

  async tell(...events: number[]): Promise<void> {
    await this.#settle(Promise.resolve({ events }))
  }

  async end(output: string): Promise<void> {
    await this.#settle(Promise.resolve({ events: [], output }))
  }

  /** As the binding gives a failure: with its code. */
  async fail(code: string): Promise<void> {
    const details = { parts: [{ kind: 'words', words: code }], facts: {} }
    const cause = new Error(JSON.stringify(details))
    await this.#settle(Promise.reject(Object.assign(new Error(code, { cause }), { code })))
  }

  async #settle(step: Promise<{ events: number[]; output?: string }>): Promise<void> {
    this.#waiting.shift()?.(step)
    await new Promise(setImmediate)
  }
}

/** Whether a promise has settled by now. */
async function isSettled(promise: Promise<unknown>): Promise<boolean> {
  const pending = Symbol('pending')
  const first = await Promise.race([promise.catch(() => {}), Promise.resolve(pending)])
  return first !== pending
}

const reason = new Error('that will do')

test('gives every event in turn, and the output', async (t) => {
  const job = new Fake()
  const told: number[] = []
  const running = runJob(() => job, { whenAborted: 'wait', onEvent: (event) => told.push(event) })
  await job.tell(1, 2)
  await job.tell(3)
  await job.end('done')
  t.is(await running, 'done')
  t.deepEqual(told, [1, 2, 3])
  t.is(job.cancels, 0)
})

test('a signal that has aborted already starts nothing', async (t) => {
  const start = () => t.fail('started') as never
  const signal = AbortSignal.abort(reason)
  await t.throwsAsync(runJob(start, { whenAborted: 'wait', signal }), { is: reason })
})

for (const by of ['signal', 'listener'] as const) {
  const stopBy = async (job: Fake, controller: AbortController) => {
    if (by === 'signal') controller.abort(reason)
    else await job.tell(1)
  }
  const listener = () => {
    if (by === 'listener') throw reason
  }

  test(`stopped by a ${by}, who waits is rejected when the work has stopped`, async (t) => {
    const job = new Fake()
    const controller = new AbortController()
    const { signal } = controller
    const running = runJob(() => job, { whenAborted: 'wait', signal, onEvent: listener })
    running.catch(() => {})
    await stopBy(job, controller)
    t.is(job.cancels, 1)
    t.false(await isSettled(running))
    await job.fail('CANCELLED')
    await t.throwsAsync(running, { is: reason })
  })

  test(`stopped by a ${by}, who leaves is rejected at once, and a late output is freed`, async (t) => {
    const job = new Fake()
    const controller = new AbortController()
    const { signal } = controller
    const discarded: string[] = []
    const running = runJob(() => job, {
      whenAborted: 'leave',
      signal,
      onEvent: listener,
      discard: (output) => discarded.push(output),
    })
    running.catch(() => {})
    await stopBy(job, controller)
    await t.throwsAsync(running, { is: reason })
    t.is(job.cancels, 1)
    await job.end('too late')
    t.deepEqual(discarded, ['too late'])
  })
}

test('who waits hears how the work ends, who left does not', async (t) => {
  for (const whenAborted of ['wait', 'leave'] as const) {
    const job = new Fake()
    const controller = new AbortController()
    const told: number[] = []
    const running = runJob(() => job, {
      whenAborted,
      signal: controller.signal,
      onEvent: (event) => told.push(event),
    })
    running.catch(() => {})
    controller.abort(reason)
    await job.tell(1)
    await job.fail('CANCELLED')
    await t.throwsAsync(running, { is: reason })
    t.deepEqual(told, whenAborted === 'wait' ? [1] : [])
  }
})

test('an abort that comes too late changes nothing; what a listener throws does', async (t) => {
  const late = new Fake()
  const controller = new AbortController()
  const running = runJob(() => late, { whenAborted: 'wait', signal: controller.signal })
  controller.abort(reason)
  await late.end('done')
  t.is(await running, 'done')

  const thrown = new Fake()
  const fail = () => {
    throw reason
  }
  const other = runJob(() => thrown, { whenAborted: 'wait', onEvent: fail })
  other.catch(() => {})
  await thrown.tell(1)
  await thrown.end('done')
  await t.throwsAsync(other, { is: reason })
})

test('a failure has its class, also while the work is being stopped', async (t) => {
  for (const whenAborted of ['wait', 'leave'] as const) {
    const job = new Fake()
    const running = runJob(() => job, { whenAborted })
    running.catch(() => {})
    await job.fail('DISPOSED')
    await t.throwsAsync(running, { instanceOf: CancelledError, code: 'DISPOSED' })
  }
  const job = new Fake()
  const controller = new AbortController()
  const running = runJob(() => job, { whenAborted: 'wait', signal: controller.signal })
  running.catch(() => {})
  controller.abort(reason)
  await job.fail('some panic')
  await t.throwsAsync(running, { instanceOf: EngineError, code: 'INTERNAL' })
})

test('an evaluation whose window has failed settles every later call', async (t) => {
  const engine = await runJob(() => native().load(tiny, {}), { whenAborted: 'leave' })
  const ids = Uint32Array.from({ length: 600 }, (_, index) => 5 + (index % 40))
  const evaluation = engine.perplexity(ids, { ctx: 32 })
  await engine.dispose()
  const settled = async () => {
    while ((await evaluation.next()).output === undefined);
  }
  await t.throwsAsync(settled, { code: 'DISPOSED' })
  for (let call = 0; call < 3; call += 1)
    await t.throwsAsync(evaluation.next(), { code: 'INTERNAL' })
})

test('a job that was cancelled rejects, and so does every later call', async (t) => {
  const loading = native().load(join(root, 'models/olmo2-5m'), {}) // long enough to be there still
  loading.cancel()
  const settled = async () => {
    while ((await loading.next()).output === undefined);
  }
  await t.throwsAsync(settled, { code: 'CANCELLED' })
  await t.throwsAsync(loading.next(), { code: 'INTERNAL' })
})
