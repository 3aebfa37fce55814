/** Maps values of one axis to places on it. */
export interface Scale {
  place(value: number): number
  ticks: { value: number; label: string }[]
}

/** An axis on which equal differences have equal lengths. */
export function linearScale(
  [low, high]: readonly [number, number],
  [from, to]: readonly [number, number],
  count: number,
  label: (value: number) => string,
): Scale {
  const span = high - low || Math.abs(high) || 1
  const step = niceStep(span / count)
  const first = Math.ceil(low / step - 1e-9)
  const last = Math.floor((low + span) / step + 1e-9)
  // Counted, not added up: 0.1 + 0.2 is not a round number.
  const ticks = Array.from({ length: Math.max(0, last - first + 1) }, (_, index) => {
    const value = Number(((first + index) * step).toPrecision(12))
    return { value, label: label(value) }
  })
  return { place: (value) => from + ((value - low) / span) * (to - from), ticks }
}

/** An axis on which equal ratios have equal lengths. Values must be above 0. */
export function logScale(
  [low, high]: readonly [number, number],
  [from, to]: readonly [number, number],
  count: number,
  label: (value: number) => string,
): Scale {
  const [start, end] = low === high ? [low / 2, high * 2] : [low, high]
  const decades = Math.log10(end / start)
  // Few decades get the steps between the powers of ten too.
  const steps = decades * 3 <= count ? [1, 2, 5] : [1]
  const stride = Math.max(1, Math.ceil(decades / count))
  const ticks = []
  const first = Math.floor(Math.log10(start))
  for (let power = first; power <= Math.ceil(Math.log10(end)); power += stride) {
    for (const step of steps) {
      const value = Number((step * 10 ** power).toPrecision(12))
      const inside = value >= start * (1 - 1e-9) && value <= end * (1 + 1e-9)
      if (inside) ticks.push({ value, label: label(value) })
    }
  }
  // Where the range is that small, a log scale is nearly a linear one, and has its ticks.
  if (ticks.length < 2) ticks.splice(0, 1, ...linearScale([start, end], [from, to], 3, label).ticks)
  const place = (value: number) =>
    from + (Math.log(value / start) / Math.log(end / start)) * (to - from)
  return { place, ticks }
}

/** The number of form 1, 2, 2.5 or 5 times a power of ten that is not below. */
function niceStep(least: number): number {
  const power = 10 ** Math.floor(Math.log10(least))
  const factor = [1, 2, 2.5, 5, 10].find((factor) => factor * power >= least * (1 - 1e-9)) ?? 10
  return factor * power
}

/** `4001e9` → `4T`, `5e9` → `5B`, `0` → `0`: three digits at most. */
export function shortCount(value: number): string {
  const units: [number, string][] = [
    [1e12, 'T'],
    [1e9, 'B'],
    [1e6, 'M'],
    [1e3, 'K'],
  ]
  const [factor, unit] = units.find(([factor]) => Math.abs(value) >= factor * 0.9995) ?? [1, '']
  return `${Number((value / factor).toPrecision(3))}${unit}`
}
