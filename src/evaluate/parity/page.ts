import { checkArgument } from '../../arguments.js'
import type { ParityNumbers, ParityReport } from './parity.js'

/** What the page begins with, by which it is known again. */
export const PARITY_HEAD = '<!-- a parity report by olmo2 -->'

/** A parity report as a page in Markdown: what was compared, how well it agrees, and what is furthest off. */
export function parityPage(report: ParityReport): string {
  checkArgument('report', report, 'object')
  const { reference, tolerance, agrees } = report
  const { model, revision, versions, dtype, device, created } = reference
  const packages = Object.entries(versions).map(([name, version]) => `${name} ${version}`)
  const name = revision === null ? model : `${model} at ${revision}`
  const verdict = agrees
    ? 'All of it agrees within the tolerance.'
    : 'Not all of it agrees: see the column **outside**.'
  return [
    PARITY_HEAD,
    `# ${inline(name)} beside transformers`,
    '',
    verdict,
    '',
    `The reference was computed by ${inline(packages.join(', '))} in ${inline(dtype)} on ${inline(device)}, ${inline(created)};`,
    `this engine ran in ${inline(report.dtype)} on ${inline(report.device)}, with ${report.numParameters.toLocaleString('en-US')} parameters. A number`,
    `may be ${tolerance} off, and a hundred-thousandth of itself more.`,
    '',
    ...summary(report),
    '',
    ...greedy(report),
    '',
    ...otherIds(report),
    ...largest('Logits furthest off', report.logits),
    '',
    ...largest('Log-likelihoods furthest off', report.likelihoods),
    '',
  ].join('\n')
}

function summary(report: ParityReport): string[] {
  const { texts, encodedOtherwise, logits, positions, otherTop, likelihoods, greedy } = report
  const numbers = (name: string, { count, outside, rms, largest }: ParityNumbers) => {
    const worst = largest[0] === undefined ? '' : scientific(largest[0].difference)
    return `| ${name} | ${count} | ${outside} | ${worst} | ${scientific(rms)} |`
  }
  const parted = greedy.filter(({ margin }) => margin !== null && margin > 2 * report.tolerance)
  return [
    '| compared | how many | outside | largest difference | root mean square |',
    '| --- | ---: | ---: | ---: | ---: |',
    `| ids of texts | ${texts} | ${encodedOtherwise.length} | | |`,
    numbers('logits', logits),
    `| likeliest tokens | ${positions} | ${otherTop} | | |`,
    numbers('log-likelihoods of continuations', likelihoods),
    `| greedy texts | ${greedy.length} | ${parted.length} | | |`,
  ]
}

function greedy({ greedy }: ParityReport): string[] {
  if (greedy.length === 0) return []
  return [
    '## Greedy texts',
    '',
    '| prompt | tokens | the same | margin where they part | text |',
    '| --- | ---: | ---: | ---: | --- |',
    ...greedy.map(
      ({ prompt, tokens, same, margin, text }) =>
        `| ${code(prompt)} | ${tokens} | ${same} | ${margin === null ? '' : scientific(margin)} | ${code(text)} |`,
    ),
  ]
}

function otherIds({ encodedOtherwise }: ParityReport): string[] {
  if (encodedOtherwise.length === 0) return []
  const rows = encodedOtherwise.map(
    ({ text, reference, found }) =>
      `| ${code(text)} | ${code(reference.join(' '))} | ${code(found.join(' '))} |`,
  )
  const head = ['| text | reference | here |', '| --- | --- | --- |']
  return ['## Texts with other ids', '', ...head, ...rows, '']
}

function largest(title: string, { largest }: ParityNumbers): string[] {
  const rows = largest.map(
    ({ what, reference, found, difference }) =>
      `| ${code(what)} | ${reference.toFixed(5)} | ${found.toFixed(5)} | ${scientific(difference)} |`,
  )
  return [
    `## ${title}`,
    '',
    '| which | reference | here | difference |',
    '| --- | ---: | ---: | ---: |',
    ...rows,
  ]
}

function scientific(value: number): string {
  return value === 0 ? '0' : value.toExponential(1)
}

const LONGEST = 120

/** A text from elsewhere in a sentence: on one line, and nothing in it is markup. */
function inline(text: string): string {
  const line = text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}\u202A-\u202E\u2066-\u2069]+/gu, ' ')
  return line.replaceAll(/[\\`*_{}[\]<>()#+!|~&]/g, (mark) => `&#${mark.codePointAt(0)};`)
}

/** A text from elsewhere in a cell, as code that it cannot end. */
function code(text: string): string {
  const characters = [...text]
  const cut = characters.length > LONGEST ? `${characters.slice(0, LONGEST - 1).join('')}…` : text
  return `<code>${inline(cut.replaceAll('\n', '⏎'))}</code>`
}
