import { readFile } from 'node:fs/promises'

/** The licences that parts of the packages may have: cargo-deny's list is the one for npm's parts too. */
export async function allowedLicences() {
  const text = await readFile('deny.toml', 'utf8')
  const [, list = ''] = /^allow = \[(.*?)\]/ms.exec(text) ?? []
  return new Set([...list.matchAll(/"([^"]+)"/g)].map(([, name]) => name))
}

/**
 * Whether an SPDX expression leaves a choice among allowed licences, as in `MIT OR (Apache-2.0 AND ISC)`. Old crates
 * have a slash for OR.
 */
export function isAllowed(expression, allowed) {
  const tokens = expression.replaceAll('/', ' OR ').match(/[()]|[^\s()]+/g) ?? []
  let at = 0
  const next = (wanted) => tokens[at] === wanted && Boolean(++at)
  const either = () => {
    let found = both()
    while (next('OR')) found = both() || found
    return found
  }
  const both = () => {
    let found = one()
    while (next('AND')) found = one() && found
    return found
  }
  const one = () => {
    if (next('(')) {
      const found = either()
      return next(')') && found
    }
    const name = tokens[at++]
    return allowed.has(next('WITH') ? `${name} WITH ${tokens[at++]}` : name)
  }
  const found = either()
  return found && at === tokens.length
}
