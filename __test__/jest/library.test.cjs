const [olmo2, hub, train] = [{}, {}, {}]

beforeAll(async () => {
  Object.assign(olmo2, await import('olmo2'))
  Object.assign(hub, await import('olmo2/hub'))
  Object.assign(train, await import('olmo2/train'))
})

require('./cases.cjs')({ test, expect, beforeAll, afterAll }, olmo2, hub, train)
