import type { Tokenizer as NativeTokenizer } from '#native'
import { checkArgument, checkObject } from './arguments.js'
import { native } from './engine/native.js'
import { crossing, crossingAsync } from './errors.js'
import { embeddedModel } from './package.js'
import { type TokenIds, toIds } from './tokens.js'

/**
 * Converts text to token ids and back, as the checkpoint's `tokenizer.json` or GGUF file defines.
 */
export class Tokenizer {
  readonly #native: NativeTokenizer

  /** @internal */
  constructor(tokenizer: NativeTokenizer) {
    this.#native = tokenizer
  }

  /**
   * Reads the tokenizer of a checkpoint without its weights.
   *
   * @param path The checkpoint's folder or GGUF file. Default: the embedded model.
   * @throws {CheckpointError} if there is no usable `tokenizer.json` and no tokenizer in the GGUF file
   */
  static async load(path: string = embeddedModel): Promise<Tokenizer> {
    checkArgument('path', path, 'path')
    return new Tokenizer(await crossingAsync(() => native().loadTokenizer(path)))
  }

  /**
   * For work in the engine that takes a tokenizer.
   *
   * @internal
   */
  get native(): NativeTokenizer {
    return this.#native
  }

  /** The number of ids; each id is below it. The model's vocabulary can be larger, for padding. */
  get vocabSize(): number {
    return this.#native.vocabSize()
  }

  /**
   * Returns the ids of a text.
   *
   * @param options.addSpecialTokens Add the tokens that the tokenizer puts around every text, if any (OLMo
   * 2's has none). Default true, as in Hugging Face.
   */
  encode(text: string, options: { addSpecialTokens?: boolean } = {}): Uint32Array {
    checkArgument('text', text, 'text')
    checkObject('options', options, { addSpecialTokens: 'flag' })
    return crossing(() => this.#native.encode(text, options.addSpecialTokens ?? true))
  }

  /**
   * Returns the same ids as {@link encode}, computed off the event loop, for texts of megabytes.
   *
   * @param options.most Stop soon after this many ids, when more are too many anyway: a long text then yields
   * more than this number, but not all. Default: no limit.
   */
  async encodeAsync(
    text: string,
    options: { addSpecialTokens?: boolean; most?: number } = {},
  ): Promise<Uint32Array> {
    checkArgument('text', text, 'text')
    checkObject('options', options, { addSpecialTokens: 'flag', most: 'count' })
    const { addSpecialTokens = true, most } = options
    return crossingAsync(() => this.#native.encodeAsync(text, addSpecialTokens, most))
  }

  /**
   * Returns the text of ids. An incomplete UTF-8 character becomes `�`.
   *
   * @param options.skipSpecialTokens Leave out tokens such as `<|endoftext|>`. Default false, as in Hugging
   * Face.
   * @throws {PromptError} `INVALID_TOKEN` for an id outside the vocabulary
   */
  decode(ids: TokenIds, options: { skipSpecialTokens?: boolean } = {}): string {
    checkObject('options', options, { skipSpecialTokens: 'flag' })
    return crossing(() => this.#native.decode(toIds(ids), options.skipSpecialTokens ?? false))
  }

  /** Returns the same text as {@link decode}, computed off the event loop. */
  async decodeAsync(ids: TokenIds, options: { skipSpecialTokens?: boolean } = {}): Promise<string> {
    checkObject('options', options, { skipSpecialTokens: 'flag' })
    const checked = toIds(ids)
    return crossingAsync(() =>
      this.#native.decodeAsync(checked, options.skipSpecialTokens ?? false),
    )
  }

  /**
   * The text of one id, to be shown: empty for a row of the model's vocabulary that has no token.
   *
   * @internal
   */
  textOf(id: number): string {
    return crossing(() => this.#native.textOf(id))
  }

  /** Returns the id of a token, written as in the vocabulary, or undefined if it does not exist. */
  tokenId(token: string): number | undefined {
    checkArgument('token', token, 'text')
    return this.#native.tokenId(token) ?? undefined
  }
}
