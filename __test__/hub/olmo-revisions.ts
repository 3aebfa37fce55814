// Facts about AllenAI's checkpoints, for the tests of names. From github.com/allenai/OLMo: the steps
// are some of those in `configs/official-1124/OLMo-2-1124-7B.csv` and `…-13B.csv` (pull request 767),
// `configs/official-0724/OLMo-7B-0724.csv` (pull request 817), `configs/official-0425/…-1B.csv` and
// the lists of stage 2 beside them; the tokens a step are the batch sizes in the configs there. Whole
// names are from the tables of the README.

/** Names as they stand in the README, with what they say. */
export const namesInReadme = [
  {
    name: 'stage1-step1907359-tokens4001B',
    stage: 1,
    ingredient: null,
    step: 1907359,
    tokens: 4001e9,
  },
  {
    name: 'stage1-step928646-tokens3896B',
    stage: 1,
    ingredient: null,
    step: 928646,
    tokens: 3896e9,
  },
  {
    name: 'stage1-step596057-tokens5001B',
    stage: 1,
    ingredient: null,
    step: 596057,
    tokens: 5001e9,
  },
  {
    name: 'stage2-ingredient1-step23852-tokens51B',
    stage: 2,
    ingredient: 1,
    step: 23852,
    tokens: 51e9,
  },
  {
    name: 'stage2-ingredient3-step11931-tokens50B',
    stage: 2,
    ingredient: 3,
    step: 11931,
    tokens: 50e9,
  },
  {
    name: 'stage2-ingredient4-step35773-tokens300B',
    stage: 2,
    ingredient: 4,
    step: 35773,
    tokens: 300e9,
  },
]

/** Steps of stage 1, in the lists' order, with the tokens that one step sees. */
export const stage1Steps = [
  {
    model: 'OLMo-2-0425-1B',
    tokensPerStep: 512 * 4096,
    steps: [0, 300, 10000, 20000, 23100, 30000, 66200, 1890000, 1900000, 1907359],
  },
  {
    model: 'OLMo-2-1124-7B',
    tokensPerStep: 1024 * 4096,
    steps: [0, 150, 600, 700, 850, 900, 1000, 2000, 2150, 3000, 926000, 927000, 928000],
  },
  {
    model: 'OLMo-2-1124-13B',
    tokensPerStep: 2048 * 4096,
    steps: [0, 1000, 1100, 2000, 19000, 19850, 20000, 595000, 596000, 596057],
  },
]

/** Runs of stage 2 as `[ingredient, step]`: first and last ones of each list. */
export const stage2Steps = [
  {
    model: 'OLMo-2-0425-1B',
    steps: [
      [1, 1000],
      [1, 2000],
      [3, 22000],
      [3, 23000],
      [3, 23852],
    ],
  },
  {
    model: 'OLMo-2-1124-7B',
    steps: [
      [1, 1000],
      [1, 3000],
      [3, 10000],
      [3, 11000],
      [3, 11931],
    ],
  },
  {
    model: 'OLMo-2-1124-13B',
    steps: [
      [1, 1000],
      [1, 3000],
      [4, 34000],
      [4, 35000],
      [4, 35773],
    ],
  },
] as const

/** Steps of OLMo-7B-0724, whose names have no stage. */
export const olderSteps = [0, 1000, 1500, 557500, 558000]

/** A name as AllenAI makes it of a step of OLMo 2: tokens in thousands of millions, rounded up. */
export function revisionName(step: number, tokensPerStep: number, prefix = ''): string {
  return `${prefix}step${step}-tokens${Math.ceil((step * tokensPerStep) / 1e9)}B`
}
