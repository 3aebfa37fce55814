// Which ending a model finds likeliest, as tests of several choices ask. A long ending is not worse for its length:
// the sum is divided by the bytes.
//
//   node score-choices.mjs [MODEL]
import { Olmo2 } from 'olmo2'

const model = await Olmo2.load(process.argv[2])
const prompt = 'Tom was hungry, so he'
const choices = [
  ' ate an apple.',
  ' flew to the moon.',
  ' is blue.',
  ' went home to eat dinner with his mom.',
]

const scores = await model.score(prompt, choices)
const rated = scores.map(({ logprob }, index) => {
  const text = choices[index]
  return { text, perByte: logprob / Buffer.byteLength(text) }
})
rated.sort((a, b) => b.perByte - a.perByte)
for (const { text, perByte } of rated) console.log(`${perByte.toFixed(3)}  ${prompt}${text}`)
await model.dispose()
