import { sendJson } from '../body.js'
import type { Exchange } from '../exchange.js'
import { Refusal } from '../failure.js'
import type { ListedModel } from '../pool.js'

const PATH = '/v1/models'

/** `GET /v1/models` and `GET /v1/models/{model}` */
export async function models({ path, response, shared }: Exchange): Promise<void> {
  const list = (await shared.pool.list()).map(described)
  if (path === PATH) return sendJson(response, 200, { object: 'list', data: list })
  const id = decoded(path.slice(PATH.length + 1))
  const found = list.find((one) => one.id === id)
  if (found) return sendJson(response, 200, found)
  const problem = `there is no model ${JSON.stringify(id.slice(0, 200))}; GET /v1/models lists them`
  throw new Refusal(404, 'model_not_found', problem, { param: 'model' })
}

const started = Math.floor(Date.now() / 1000)

function described({ id, loaded }: ListedModel) {
  return { id, object: 'model', created: started, owned_by: 'olmo2', loaded }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
