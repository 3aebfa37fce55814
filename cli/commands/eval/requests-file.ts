import type { ScoredDocument } from '../../../src/evaluate/index.js'
import { writeResult } from '../../../src/index.js'

/** A JSON line for each continuation, written when all are there. */
export class RequestsFile {
  readonly #path: string
  readonly #lines: string[] = []

  constructor(path: string) {
    this.#path = path
  }

  add({ label, doc_id, choices }: ScoredDocument): void {
    for (const [cont_id, choice] of choices.entries()) {
      const { query_tokens, context_tokens: ctx_len, tokens: cont_len, loglikelihood } = choice
      const line = { label, doc_id, cont_id, query_tokens, ctx_len, cont_len, loglikelihood }
      this.#lines.push(JSON.stringify(line))
    }
  }

  async finish(): Promise<void> {
    await writeResult(this.#path, this.#lines.map((line) => `${line}\n`).join(''))
  }
}
