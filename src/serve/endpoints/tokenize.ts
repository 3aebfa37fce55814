import type { Shape } from '../../arguments.js'
import { ChatTemplate } from '../../chat.js'
import { OptionError } from '../../errors.js'
import type { Olmo2 } from '../../model.js'
import { isTokenIds } from '../../tokens.js'
import { type Fields, sendJson } from '../body.js'
import { type Exchange, withModel } from '../exchange.js'
import { checkFields } from '../fields.js'
import { messagesOf } from './chat.js'

const tokenizeShape: Shape = {
  model: 'text',
  prompt: 'text',
  messages: 'objects',
  add_special_tokens: 'flag',
  add_generation_prompt: 'flag',
  return_token_strs: 'flag',
}

/** `POST /tokenize`: the ids of a text, or of a conversation, in the form vLLM gives them. */
export async function tokenize(exchange: Exchange): Promise<void> {
  const fields = checkFields(exchange.fields, tokenizeShape)
  if ((fields.prompt === undefined) === (fields.messages === undefined)) {
    throw new OptionError('prompt', 'has to be there, or `messages` in its place')
  }
  await withModel({ ...exchange, fields }, 0, async (model) => {
    const { tokenizer, info } = model
    const tokens = [...(await idsOf(model, fields))]
    const isShown = fields.return_token_strs === true
    sendJson(exchange.response, 200, {
      count: tokens.length,
      max_model_len: info.config.maxPositionEmbeddings,
      tokens,
      token_strs: isShown ? tokens.map((id) => tokenizer.textOf(id)) : null,
    })
  })
}

async function idsOf(model: Olmo2, fields: Fields): Promise<Uint32Array> {
  const { prompt, messages, add_special_tokens, add_generation_prompt } = fields
  if (messages === undefined) {
    const addSpecialTokens = add_special_tokens !== false
    return model.tokenizer.encodeAsync(String(prompt), { addSpecialTokens })
  }
  const template = await ChatTemplate.load(model.info.path)
  const addGenerationPrompt = add_generation_prompt !== false
  return template.encode(messagesOf(messages), model.tokenizer, { addGenerationPrompt })
}

const detokenizeShape: Shape = { model: 'text', tokens: 'idList' }

/** `POST /detokenize`: the text of token ids. */
export async function detokenize(exchange: Exchange): Promise<void> {
  const fields = checkFields(exchange.fields, detokenizeShape)
  const { tokens } = fields
  if (!isTokenIds(tokens)) throw new OptionError('tokens', 'is missing: a list of token ids')
  await withModel({ ...exchange, fields }, 0, async (model) => {
    sendJson(exchange.response, 200, { prompt: await model.tokenizer.decodeAsync(tokens) })
  })
}

/** The ids of a text, found off the event loop; of one that is longer than the context not all. */
export function textIds({ tokenizer, info }: Olmo2, text: string): Promise<Uint32Array> {
  return tokenizer.encodeAsync(text, { most: info.config.maxPositionEmbeddings })
}
