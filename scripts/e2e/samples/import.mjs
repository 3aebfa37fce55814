// As a module: the whole, a stream, and a sub-path.
import { Olmo2 } from 'olmo2'
import { listCache } from 'olmo2/hub'

const model = await Olmo2.load()
const options = { maxNewTokens: 6, seed: 7 }
let streamed = ''
for await (const { text } of model.generate('Once upon a time', options)) streamed += text
const { text } = await model.generate('Once upon a time', options)
await model.dispose()
if (streamed !== text) throw new Error(`${streamed} is not ${text}`)
if (typeof listCache !== 'function') throw new Error('olmo2/hub has no listCache')
console.log(JSON.stringify(text))
