/**
 * McNemar's test of two models on the same documents: how likely such a split of the documents that only
 * one of them gets right is, if either were as likely to be that one. Exact, by the binomial
 * distribution, for any number of documents: no approximation is needed where computers add.
 *
 * @param onlyA Documents that only the first gets right
 * @param onlyB Those that only the second does
 * @returns p to either side
 */
export function mcnemar(onlyA: number, onlyB: number): number {
  const count = onlyA + onlyB
  // In logarithms, since 2^-count is 0 in floating point for more than 1,074.
  let logTerm = -count * Math.LN2
  let tail = 0
  for (let k = 0; k <= Math.min(onlyA, onlyB); k++) {
    tail += Math.exp(logTerm)
    logTerm += Math.log((count - k) / (k + 1))
  }
  return Math.min(1, 2 * tail)
}
