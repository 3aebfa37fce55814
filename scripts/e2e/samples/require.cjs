// As CommonJS: the same text, and the same classes as for `import`.
const olmo2 = require('olmo2')

async function main() {
  const imported = await import('olmo2')
  if (imported.OptionError !== olmo2.OptionError) throw new Error('there are two OptionErrors')
  const model = await olmo2.Olmo2.load()
  const { text } = await model.generate('Once upon a time', { maxNewTokens: 6, seed: 7 })
  await model.dispose()
  console.log(JSON.stringify(text))
}

main()
