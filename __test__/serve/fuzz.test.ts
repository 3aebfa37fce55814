// Every field of every endpoint with values of every kind: an answer or a refusal, and never the server's own failure.
import test from 'ava'

import { errorOf, MESSAGES, PROMPT, post, requestsIn, started } from './setup.js'

const errors: unknown[] = []
const server = await started(test, { onError: (error) => errors.push(error) })

const strange: unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  1,
  1.5,
  1e308,
  -1e-308,
  2 ** 32,
  2 ** 53,
  '',
  'x',
  'none',
  '\u0000',
  '\ud800',
  '🙂'.repeat(50),
  [],
  [[]],
  [null],
  [0],
  [1, 'x'],
  ['a', 'b'],
  [[1, 2], [3]],
  {},
  { type: 'text' },
  { '7': 3, x: 1 },
  { constructor: 1 },
  [{ role: 'user', content: 'x' }],
  [{ role: 5, content: [] }],
  [{ role: 'user', content: [{ type: 'text' }] }],
  [{ role: 'user', content: [null] }],
  [{ role: 'assistant', tool_calls: [] }],
]

const endpoints: Record<string, { good: object; fields: string[] }> = {
  '/v1/completions': {
    good: { model: 'tiny', prompt: PROMPT, max_tokens: 2 },
    fields: [
      'model prompt max_tokens temperature top_p top_k min_p typical_p top_n_sigma n seed stop logprobs echo',
      'best_of suffix logit_bias presence_penalty frequency_penalty repetition_penalty stream user priority',
      'no_repeat_ngram_size min_tokens skip_special_tokens stream_options metadata unheard_of',
    ],
  },
  '/v1/chat/completions': {
    good: { model: 'tiny', messages: MESSAGES, max_tokens: 2 },
    fields: [
      'model messages max_tokens max_completion_tokens logprobs top_logprobs response_format n stream',
      'chat_template chat_template_kwargs add_generation_prompt continue_final_message',
    ],
  },
  '/v1/responses': {
    good: { model: 'tiny', input: 'Hi', max_output_tokens: 2 },
    fields: ['model input instructions max_output_tokens text truncation stream temperature'],
  },
  '/v1/embeddings': {
    good: { model: 'tiny', input: PROMPT },
    fields: ['model input pooling dimensions encoding_format normalize priority'],
  },
  '/tokenize': {
    good: { model: 'tiny', prompt: PROMPT },
    fields: ['model prompt messages add_special_tokens add_generation_prompt return_token_strs'],
  },
  '/detokenize': { good: { model: 'tiny', tokens: [1, 2] }, fields: ['model tokens'] },
}

for (const [path, { good, fields }] of Object.entries(endpoints)) {
  test(`${path}: strange values of each field`, async (t) => {
    for (const field of fields.join(' ').split(' ')) {
      const answers = strange.map(async (value) => {
        const answer = await post(server, path, { ...good, [field]: value })
        const what = `${field}: ${JSON.stringify(value)}`
        t.true([200, 400, 404].includes(answer.status), `${what}: ${answer.status}`)
        if (answer.status !== 200) t.is(typeof (await errorOf(answer)).message, 'string', what)
        else await answer.text()
      })
      await Promise.all(answers)
    }
    t.deepEqual(errors, [])
    t.is((await fetch(`${server.url}/health`)).status, 200)
  })
}

test.after('nothing is left in work', async (t) => {
  t.is(await requestsIn(server), 0)
})
