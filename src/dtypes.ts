// Written by scripts/generate-dtypes.mjs from the engine's list of formats.

/** All types of weights: numbers, and blocks of ever fewer bits. */
export const dtypes = [
  'f32',
  'f16',
  'bf16',
  'q8_0',
  'q6_k',
  'q5_k_m',
  'q5_0',
  'q4_k_m',
  'q4_0',
] as const

/** How the weights are held and computed with: as numbers, or in blocks of few-bit integers. */
export type DType = (typeof dtypes)[number]
