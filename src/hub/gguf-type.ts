import { OptionError } from '../errors.js'

/**
 * Finds the GGUF file of a repository by the type of weights in its name: `Q4_K_M` means `model-Q4_K_M.gguf`,
 * `model.q4_k_m.gguf`, and `Q4_K_M/model.gguf`, and not `model-Q4_K_M-XL.gguf`.
 *
 * @param names All files of the repository
 * @throws {OptionError} if there is none, or more than one
 */
export function chooseGguf(names: readonly string[], type: string, repo: string): string {
  const ggufs = names.filter((name) => /\.gguf$/i.test(name)).sort()
  const found = ggufs.filter((name) => typesOf(name).includes(type.toLowerCase()))
  const [only] = found
  if (only !== undefined && found.length === 1) return only
  const asked = `is ${JSON.stringify(`${repo}:${type}`)}, but`
  if (only !== undefined) {
    const problem = `${asked} several files of ${repo} are of that type: write one of ${list(found.map((name) => `${repo}/${name}`))}`
    throw new OptionError('path', problem)
  }
  const there = ggufs.length > 0 ? `it has ${list(ggufs)}` : 'it has no GGUF files'
  throw new OptionError('path', `${asked} ${repo} has no GGUF file of that type: ${there}`)
}

/** What a file's name, or the folder it is in, may call its type. */
function typesOf(path: string): string[] {
  const name = path.toLowerCase().replace(/\.gguf$/, '')
  const folders = name.split('/')
  const base = (folders.pop() ?? '').replace(/-\d{5}-of-\d{5}$/, '')
  // Each ending of the name that begins after a dot or a dash.
  const endings = [...base.matchAll(/[.-]/g)].map(({ index }) => base.slice(index + 1))
  return [...folders, ...endings, base]
}

function list(names: readonly string[]): string {
  const more = names.length > 20 ? `, and ${names.length - 20} more` : ''
  return `${names.slice(0, 20).join(', ')}${more}`
}
