import type { Tokenizer as NativeTokenizer } from '#native'
import { checkArgument, checkObject } from './arguments.js'
import { native } from './engine/native.js'
import { crossing, crossingAsync } from './errors.js'
import { embeddedModel } from './package.js'
import { type TokenIds, toIds } from './tokens.js'

/** Text to token ids and back, as the checkpoint's `tokenizer.json` or GGUF file says. */
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
   * @throws {CheckpointError} if there is no usable `tokenizer.json`, and none in the file
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

  /** Number of ids: each is below it. The model's vocabulary may be larger, for padding. */
  get vocabSize(): number {
    return this.#native.vocabSize()
  }

  /**
   * The ids of a text.
   *
   * @param options.addSpecialTokens Add the tokens that the tokenizer puts around every text, if it
   * has any (OLMo 2's has none). Default true, as in Hugging Face.
   */
  encode(text: string, options: { addSpecialTokens?: boolean } = {}): Uint32Array {
    checkArgument('text', text, 'text')
    checkObject('options', options, { addSpecialTokens: 'flag' })
    return crossing(() => this.#native.encode(text, options.addSpecialTokens ?? true))
  }

  /**
   * The ids of a text, found off the event loop: for texts of megabytes. The same as of {@link encode}.
   *
   * @param options.most Stop soon after so many ids, where more are too many anyway: of a long text there
   * are then more than that, but not all. Default: none.
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
   * The text of some ids. An incomplete UTF-8 character comes out as `�`.
   *
   * @param options.skipSpecialTokens Leave out tokens such as `<|endoftext|>`. Default false, as in
   * Hugging Face.
   * @throws {PromptError} `INVALID_TOKEN` for an id outside the vocabulary
   */
  decode(ids: TokenIds, options: { skipSpecialTokens?: boolean } = {}): string {
    checkObject('options', options, { skipSpecialTokens: 'flag' })
    return crossing(() => this.#native.decode(toIds(ids), options.skipSpecialTokens ?? false))
  }

  /** The text of some ids, made off the event loop. The same as of {@link decode}. */
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

  /** The id of one token, written as in the vocabulary; undefined if there is no such token. */
  tokenId(token: string): number | undefined {
    checkArgument('token', token, 'text')
    return this.#native.tokenId(token) ?? undefined
  }
}
