// The parts of the model's card that are measured. The sentences around them are in
// `models/recipe/card.md`.

/**
 * Puts a card's measured parts in place of `{{NAME}}`.
 *
 * @param {string} card
 * @param {Record<string, string>} parts Markdown by name
 */
export function fillCard(card, parts) {
  return card.replaceAll(/\{\{(\w+)\}\}/g, (_, name) => {
    if (parts[name] === undefined)
      throw new Error(`the card asks for ${name}, which is not measured`)
    return parts[name]
  })
}

/**
 * Bits per byte of the final weights beside the n-gram model with the longest memory.
 *
 * @param {import('olmo2').HeldOut} heldOut
 */
export function scoresTable({ sources, overall, baselines }) {
  const best = baselines.toSorted((a, b) => b.order - a.order)[0]
  const rows = [...sources, overall].map(({ source, bitsPerByte, bits, tokens }) => {
    const baseline = [...best.sources, best.overall].find((other) => other.source === source)
    const change = 100 * (bitsPerByte / baseline.bitsPerByte - 1)
    return [
      source,
      bitsPerByte.toFixed(3),
      baseline.bitsPerByte.toFixed(3),
      `${change.toFixed(1).replace('-', '−')}%`,
      ((bits * Math.LN2) / tokens).toFixed(3),
    ]
  })
  const head = ['source', 'bits/byte', `${best.order}-grams`, 'change', 'nats/token']
  return table(head, rows)
}

/**
 * What the trainer measured along the run: bits per byte of each source.
 *
 * @param {import('olmo2').TrainMetric[]} metrics
 * @param {number} most Rows, spread evenly
 */
export function validationTable(metrics, most = 14) {
  const found = metrics.filter(({ type }) => type === 'validation')
  const names = [...new Set(found.map(({ source }) => source))]
  // At each moment all sources are measured, one after the other.
  const all = found
    .filter(({ source }) => source === names[0])
    .map(({ stage, ingredient, step }) =>
      found.filter(
        (one) => one.stage === stage && one.ingredient === ingredient && one.step === step,
      ),
    )
  const every = Math.ceil(all.length / most)
  const rows = all
    .filter((_, index) => (all.length - 1 - index) % every === 0)
    .map((moment) => [
      `stage ${moment[0].stage}, ${moment[0].step.toLocaleString('en')}`,
      ...names.map((name) => moment.find(({ source }) => source === name)?.bitsPerByte.toFixed(3)),
    ])
  return table(['after step', ...names], rows)
}

/** @param {{ prompt: string, greedy: string, sampled: string }[]} taken */
export function samplesList(taken) {
  return taken
    .map(({ prompt, greedy, sampled }) =>
      [quote(prompt, greedy), '', `Sampled: ${quote(prompt, sampled)}`].join('\n'),
    )
    .join('\n\n')
}

function quote(prompt, text) {
  const shown = (part) => part.replaceAll('<', '&lt;').replaceAll('*', '\\*').replaceAll('_', '\\_')
  return `**${shown(prompt)}**${shown(text)}`.replaceAll('\n', ' ⏎ ')
}

function table(head, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`
  return [line(head), line(head.map((_, i) => (i ? '---:' : '---'))), ...rows.map(line)].join('\n')
}
