/** MMLU's parts, in the harnesses' names for them. */
const CATEGORIES = ['stem', 'humanities', 'social_sciences', 'other']

const mmlu = (ending: string) => CATEGORIES.map((category) => `mmlu_${category}${ending}`)

/** Tasks of the scaling ladder, in the order of Bhagia et al., "Establishing Task Scaling Laws" (2024). */
const LADDER = ['hellaswag', 'arc_challenge', 'arc_easy', 'piqa', 'csqa', 'socialiqa', 'openbookqa']

/** Labels by the names of their groups. */
export function groups(): Readonly<Record<string, readonly string[]>> {
  return {
    /** What the model card of OLMo 2 has, in its order as far as the harnesses have it. */
    card: [
      ...['arc_challenge', 'arc_easy', 'boolq', 'copa', 'hellaswag', 'openbook_qa', 'piqa'],
      ...['sciq', 'winogrande', 'truthfulqa_mc2', ...mmlu('_mc_5shot'), 'gsm8k'],
    ],
    mmlu: mmlu('_mc_5shot'),
    mmlu_rc: mmlu(''),
    mmlu_test: mmlu('_mc_5shot_test'),
    /** Those on which small models are better than chance. */
    easy: ['arc_easy', 'piqa', 'sciq', 'copa', 'hellaswag', 'basic_arithmetic', 'social_iqa'],
    ladder: LADDER.map((task) => `${task}_val_rc_5shot`),
  }
}
