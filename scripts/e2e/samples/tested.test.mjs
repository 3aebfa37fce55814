// Runs under Jest and under Vitest, which both give `test` and `expect`.
import { Olmo2, OptionError } from 'olmo2'

test('olmo2 generates', async () => {
  const model = await Olmo2.load()
  const { text } = await model.generate('Once upon a time', { maxNewTokens: 6, seed: 7 })
  expect(typeof text).toBe('string')
  expect(text.length).toBeGreaterThan(3)
  await expect(async () => model.generate('a', { topP: 7 })).rejects.toBeInstanceOf(OptionError)
  await model.dispose()
})
