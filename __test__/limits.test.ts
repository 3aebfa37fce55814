import test from 'ava'
import { type LoadOptions, Olmo2, OptionError, ResourceError } from 'olmo2'

import { tiny } from './support.js'

const PROMPT = 'She read the word'
const long = { maxNewTokens: 100, eosTokenId: [] }

test('limits change no text', async (t) => {
  await using plain = await Olmo2.load(tiny)
  const options = { ...long, promptLogprobs: true }
  const expected = await plain.generate([PROMPT, 'the fox'], options)
  const texts = expected.map(({ text }) => text)
  for (const limits of [
    { maxNumSeqs: 1, prefillChunk: 1, logitsChunk: 1 },
    { maxNumSeqs: 1000, prefillChunk: 1000, logitsChunk: 1000, maxQueue: 1, maxAnswers: 2 },
  ]) {
    await using model = await Olmo2.load(tiny, limits)
    const answers = await model.generate([PROMPT, 'the fox'], options)
    t.deepEqual(
      answers.map(({ text }) => text),
      texts,
    )
  }
})

test('a limit of nothing is an OptionError that names it', async (t) => {
  const names = ['maxNumSeqs', 'prefillChunk', 'logitsChunk', 'maxQueue', 'maxAnswers'] as const
  for (const name of names) {
    for (const value of [0, -1, 1.5]) {
      const options: LoadOptions = { [name]: value }
      const error = await t.throwsAsync(Olmo2.load(tiny, options), { instanceOf: OptionError })
      t.is(error.option, name)
    }
  }
})

test('a call beyond maxQueue is refused, and taken when one has ended', async (t) => {
  await using model = await Olmo2.load(tiny, { maxQueue: 2 })
  const controller = new AbortController()
  // More than a mailbox holds, so that neither ends unread.
  const prompts = [PROMPT, 'the fox', 'again and again', 'the cat']
  const stopped = model.generate(prompts, { ...long, signal: controller.signal })
  const reader = stopped[Symbol.asyncIterator]()
  const unread = model.generate(prompts, long)[Symbol.asyncIterator]()
  await Promise.all([reader.next(), unread.next()])
  const refused = async (call: () => PromiseLike<unknown>) => {
    const error = await t.throwsAsync(async () => await call(), { instanceOf: ResourceError })
    t.is(error.code, 'QUEUE_FULL')
    t.is(error.calls, 2)
    t.regex(error.message, /maxQueue/)
  }
  await refused(() => model.generate('the dog', long))
  await refused(() => model.score('the', ' dog'))
  await refused(() => model.forward('the dog'))

  controller.abort()
  await t.throwsAsync(async () => await reader.next(), { any: true })
  await model.score('the', ' dog')
  await unread.return?.()
  await Promise.all([model.generate('the dog', long), model.forward('the dog')])
})

test('readers who pause keep nobody waiting', async (t) => {
  await using model = await Olmo2.load(tiny, { cacheTokens: 256 })
  const expected = await model.generate('the dog', long)
  const paused = Array.from({ length: 70 }, () => model.generate(PROMPT, long))
  const readers = paused.map((generation) => generation[Symbol.asyncIterator]())
  await Promise.all(readers.map((reader) => reader.next()))
  t.is((await model.generate('the dog', long)).text, expected.text)
  await Promise.all(readers.map((reader) => reader.return?.()))
})
