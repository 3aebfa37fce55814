// The same package as CommonJS sees it: it only has to compile.
import olmo2 = require('olmo2')

export async function main(): Promise<string> {
  const model: olmo2.Olmo2 = await olmo2.Olmo2.load()
  const { text }: olmo2.Completion = await model.generate('a', { maxNewTokens: 1 })
  await model.dispose()
  return text
}
