import { OptionError } from '../errors.js'
import { isRepoId } from './names.js'

/** What the name of a model on the hub asks for. */
export interface ModelName {
  repo: string
  /** As in the address of a page about one revision. */
  revision?: string
  /** One file, as after the id or in the address of a file. */
  file?: string
  /** The type of a GGUF file, as after a colon. */
  type?: string
}

const FILE = /^([^/]+\/[^/:]+)\/(.+\.gguf)$/i
const TYPE = /^([^/]+\/[^/:]+):([\w.-]+)$/
const ADDRESS = /^(?:https?:\/\/)([^/]+)\/(.*)$/i
const HOSTS = new Set(['huggingface.co', 'www.huggingface.co', 'hf.co', 'www.hf.co'])

/**
 * Parses the name of a model on the hub: `owner/name`, `owner/name/file.gguf`, `owner/name:Q4_K_M`, or the
 * address of its page, as people copy it.
 *
 * @param endpoint The hub; its addresses are accepted besides those of Hugging Face
 * @param option What the name is called where it is asked for
 * @returns undefined if it cannot be a model's name
 * @throws {OptionError} for an address that is not one of a model
 */
export function parseModelName(
  text: string,
  endpoint?: string,
  option = 'path',
): ModelName | undefined {
  const [, host = '', path = ''] = ADDRESS.exec(text) ?? []
  if (host !== '') return parseAddress(text, [host, path], endpoint, option)
  if (/^(?:www\.)?(?:huggingface|hf)\.co\//i.test(text))
    return parseModelName(`https://${text}`, endpoint, option)
  const name = text.replace(/\/+$/, '')
  const [, typed = '', type] = TYPE.exec(name) ?? []
  if (type !== undefined && isRepoId(typed)) return { repo: typed, type }
  const [, repo = '', file] = FILE.exec(name) ?? []
  if (file !== undefined && isRepoId(repo)) return { repo, file }
  // No repository is called after a file.
  return isRepoId(name) && !/\.gguf$/i.test(name) ? { repo: name } : undefined
}

function parseAddress(
  text: string,
  [host, path]: readonly [string, string],
  endpoint: string | undefined,
  option: string,
): ModelName {
  const own = endpoint !== undefined && URL.canParse(endpoint) ? new URL(endpoint).host : undefined
  const known = HOSTS.has(host.toLowerCase()) || host.toLowerCase() === own
  const steps = known
    ? path
        .replace(/[?#].*$/, '')
        .split('/')
        .filter(Boolean)
        .map(decode)
    : []
  const [owner = '', name = '', what, revision, ...rest] = steps
  const repo = `${owner}/${name}`
  if (isRepoId(repo)) {
    if (what === undefined) return { repo }
    const of = /^(?:tree|blob|resolve|raw|commit)$/.test(what) && revision !== undefined
    const file = rest.join('/')
    if (of) return { repo, revision, ...(/\.gguf$/i.test(file) && { file }) }
  }
  // Without what may be secret in it.
  const shown = JSON.stringify(text.replace(/\/\/[^/]*@/, '//…@').replace(/[?#].*$/, ''))
  const problem = `is the address ${shown}, but a model is named as in allenai/OLMo-2-0425-1B, or by its page on ${endpoint ?? 'https://huggingface.co'}`
  throw new OptionError(option, problem)
}

function decode(step: string): string {
  try {
    return decodeURIComponent(step)
  } catch {
    return step
  }
}
