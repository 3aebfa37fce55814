import test from 'ava'

import { type TracePoint, traceCsv } from '../../src/trace/index.js'

test('a table for other programs has a line for each, whatever is in them', (t) => {
  const point: TracePoint = {
    revision: 'stage1-step1-tokens1B',
    ...{ stage: 1, ingredient: null, step: 1, tokens: 1e9, seen: 1e9 },
    continuations: [{ text: ' a "b"', logprob: -1.5, tokens: 2 }],
    top: [{ token: 1, text: ',', logprob: -0.25 }],
    perplexity: null,
    greedy: 'two\nlines',
  }
  const { continuations: _, top: __, perplexity: ___, greedy: ____, ...named } = point
  const failed = { ...named, revision: 'broken', error: { code: 'IO', message: 'gone, it is' } }
  t.is(
    traceCsv([point, failed]),
    [
      'revision,stage,ingredient,step,tokens,seen,measure,rank,text,value',
      'stage1-step1-tokens1B,1,,1,1000000000,1000000000,logprob,," a ""b""",-1.5',
      'stage1-step1-tokens1B,1,,1,1000000000,1000000000,top_logprob,1,",",-0.25',
      'stage1-step1-tokens1B,1,,1,1000000000,1000000000,greedy,,"two\nlines",',
      'broken,1,,1,1000000000,1000000000,error,,"gone, it is",',
      '',
    ].join('\n'),
  )
  t.is(traceCsv([]), 'revision,stage,ingredient,step,tokens,seen,measure,rank,text,value\n')
})

test('no cell of the table is a formula, and numbers stay numbers', (t) => {
  const named = { stage: null, ingredient: null, step: null, tokens: null, seen: null }
  const cells: [string, string][] = [
    ['=1+1', `"'=1+1"`],
    ['+1', `"'+1"`],
    ['-1', `"'-1"`],
    ['@SUM(A1)', `"'@SUM(A1)"`],
    ['\t=1', `"'\t=1"`],
    ['\r=1', `"'\r=1"`],
    ['\n=1', `"'\n=1"`],
    ['＝1', `"'＝1"`],
    ['=HYPERLINK("x")', `"'=HYPERLINK(""x"")"`],
    ['1-1', '1-1'],
    ['a=b', 'a=b'],
    [' =1', '" =1"'],
  ]
  for (const [text, written] of cells) {
    const point: TracePoint = {
      ...{ revision: text, ...named, top: [], perplexity: 5, greedy: null },
      continuations: [{ text, logprob: -2, tokens: 1 }],
    }
    const failed = { revision: 'x', ...named, error: { code: 'IO', message: text } }
    t.true(
      traceCsv([point, failed]).endsWith(
        [
          `value\n${written},,,,,,logprob,,${written},-2`,
          `${written},,,,,,perplexity,,,5`,
          `x,,,,,,error,,${written},\n`,
        ].join('\n'),
      ),
      text,
    )
  }
})
