// Twenty ordinary prompts, continued as they come: nothing is left out or tried twice.

export const PROMPTS = [
  'Once upon a time',
  'The little dog ran to the',
  'Once there was a king who had three daughters.',
  'The old woman opened the door and',
  'One morning the rabbit said to the fox,',
  'Mother put the baby to bed and',
  '"Where are you going?" asked the boy.',
  'In the middle of the forest there stood',
  'The children were playing in the garden when',
  'It was a cold winter night, and',
  'The ship had been at sea for three weeks when',
  'Tom was not afraid of the dark, but',
  'The capital of France is',
  'Language modeling is',
  'Albert Einstein was',
  'Water is made of',
  'The river Nile',
  'The first world war began',
  'In mathematics, a',
  'User: I am looking for a restaurant in San Jose.\nAssistant:',
]

/**
 * Greedy continuations of every prompt, and those sampled as the model does by default; the seed is
 * the prompt's number.
 *
 * @param {import('olmo2').Olmo2} model
 * @param {number} maxNewTokens
 */
export async function samples(model, maxNewTokens = 80) {
  const taken = []
  for (const [seed, prompt] of PROMPTS.entries()) {
    const greedy = await model.generate(prompt, { maxNewTokens, doSample: false })
    const sampled = await model.generate(prompt, { maxNewTokens, seed })
    taken.push({ prompt, greedy: greedy.text, sampled: sampled.text })
  }
  return taken
}
