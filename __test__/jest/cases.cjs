// What is tried in Jest. The library's modules may be filled in before the first test.
const { join } = require('node:path')
const vm = require('node:vm')

const golden = join(__dirname, '../../crates/olmo-core/tests/golden')
const tiny = join(golden, 'tiny-mha-f32')
const other = (source) => vm.runInNewContext(source)

function generating({ test, expect }, loaded) {
  test('generates from ids of any realm', async () => {
    const model = loaded()
    const options = { maxNewTokens: 4 }
    const { text } = await model.generate('She read the word', options)
    const ids = model.tokenizer.encode('She read the word')
    const list = `[${[...ids]}]`
    const bigints = `[${[...ids].map((id) => `${id}n`)}]`
    for (const same of [
      ids,
      Uint32Array.from(ids),
      Int32Array.from(ids),
      Array.from(ids),
      other(`new Uint32Array(${list})`),
      other(list),
      other(bigints),
      other(`new BigInt64Array(${bigints})`),
    ]) {
      expect((await model.generate(same, options)).text).toBe(text)
      expect((await model.generate([same], other('({ maxNewTokens: 4 })')))[0].text).toBe(text)
    }
    const biases = other('new Map([[7, -1]])')
    await model.generate(ids, { ...options, logitBias: biases, badWordsIds: other('[[7]]') })
    await model.generate(ids, Object.assign(Object.create(null), options))
  })
}

function failing({ test, expect }, loaded, olmo2, train) {
  test('errors of the engine have their classes and codes', async () => {
    const { CheckpointError, OptionError, PromptError, Olmo2, Tokenizer } = olmo2
    const model = loaded()
    const failed = (work) =>
      work.then(
        () => undefined,
        (error) => error,
      )
    const missing = await failed(Olmo2.load(join(golden, 'no-such')))
    expect(missing).toBeInstanceOf(CheckpointError)
    expect(missing.code).toBe('IO')
    const long = await failed(model.forward(new Array(129).fill(1)))
    expect(long).toBeInstanceOf(PromptError)
    expect(long.code).toBe('PROMPT_TOO_LONG')
    expect(() => model.tokenizer.decode([1e6])).toThrow(PromptError)
    const option = await failed(model.generate('the', { temperature: -1 }).then())
    expect(option).toBeInstanceOf(OptionError)
    expect(option.option).toBe('temperature')
    expect(await failed(train.readMetrics(join(golden, 'no-such')))).toBeInstanceOf(CheckpointError)
    expect(await failed(Tokenizer.load(__dirname))).toBeInstanceOf(CheckpointError)
  })

  test('a checkpoint without a chat template is called so', async () => {
    const { ChatTemplate } = olmo2
    const plain = join(golden, 'tiny-gqa-bf16')
    await expect(ChatTemplate.load(plain)).rejects.toMatchObject({ code: 'NO_CHAT_TEMPLATE' })
    await expect(ChatTemplate.load(join(golden, 'no-such'))).rejects.toMatchObject({ code: 'IO' })
    expect(await (await ChatTemplate.load(tiny)).render([{ role: 'user', content: 'Hi' }])).toMatch(
      /Hi/,
    )
  })

  test('signals stop it', async () => {
    const model = loaded()
    const controller = new AbortController()
    const running = model.generate('She', { maxNewTokens: 100, signal: controller.signal }).then()
    controller.abort(new Error('enough'))
    await expect(running).rejects.toThrow('enough')
    const signal = AbortSignal.abort()
    await expect(model.score('a', 'b', { signal })).rejects.toHaveProperty('name', 'AbortError')
  })
}

function others({ test, expect }, loaded, olmo2, hub) {
  test('studies', async () => {
    const model = loaded()
    const { logits } = await model.forward('the dog', { logits: 'last' })
    expect(Object.prototype.toString.call(logits)).toBe('[object Float32Array]')
    expect(logits.length).toBe(517)
    expect((await model.score('the', [' dog', ' fox'])).length).toBe(2)
  })

  test('pulls, and again', async () => {
    const { OLMO2_TEST_ENDPOINT: endpoint, OLMO2_TEST_CACHE: cacheDir } = process.env
    const options = { endpoint, cacheDir, token: false, offline: false }
    const first = await hub.pull('allenai/OLMo-2-mock', options)
    expect(first.fetched.length).toBeGreaterThan(0)
    const second = await hub.pull('allenai/OLMo-2-mock', options)
    expect(second.fetched).toEqual([])
    const pulled = await olmo2.Olmo2.load('allenai/OLMo-2-mock', { hub: options })
    await pulled.dispose()
    expect((await hub.listCache({ cacheDir })).length).toBe(1)
  })

  test('values of its own are what they are to Jest', async () => {
    const generation = loaded().generate('She read', { maxNewTokens: 2 })
    await expect(generation).resolves.toMatchObject({ finishReason: 'length' })
    expect(generation.partial.tokens).toHaveLength(2)
  })
}

module.exports = function cases(jest, olmo2, hub, train) {
  let model
  jest.beforeAll(async () => {
    model = await olmo2.Olmo2.load(tiny)
  })
  jest.afterAll(() => model?.dispose())
  const loaded = () => model
  generating(jest, loaded)
  failing(jest, loaded, olmo2, train)
  others(jest, loaded, olmo2, hub)
}
