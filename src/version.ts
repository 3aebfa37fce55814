/** The version of this package. `scripts/release/version.mjs` writes it wherever it stands. */
export const version = '0.1.0'
