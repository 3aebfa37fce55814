// As TypeScript, strict, with the types of dependencies checked too.
import { type Completion, Olmo2, OptionError } from 'olmo2'
import { type Revision, parseRevision } from 'olmo2/hub'

const model: Olmo2 = await Olmo2.load()
const completion: Completion = await model.generate('Once upon a time', { maxNewTokens: 6, seed: 7 })
await model.dispose()
const revision: Revision | undefined = undefined
if (revision ?? !(parseRevision('main') === undefined || OptionError)) throw new Error('never')
console.log(JSON.stringify(completion.text))
