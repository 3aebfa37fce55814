import test from 'ava'

import { Gate, type Place } from '../../src/serve/gate.js'

const { signal } = new AbortController()

/** Requests at a gate, noting the order in which they were let in. */
function crowd(places: number) {
  const gate = new Gate(places)
  const order: string[] = []
  const inside = new Map<string, Place>()
  const come = (name: string, client = 'a', priority = 0, weight = 1, from = signal) =>
    gate.enter({ client, priority, weight, signal: from }).then((place) => {
      order.push(name)
      inside.set(name, place)
    })
  const leave = async (name: string) => {
    inside.get(name)?.leave()
    await settled()
  }
  return { gate, order, come, leave, inside }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('as many as there are places come in, the others in the order they came', async (t) => {
  const { gate, order, come, leave } = crowd(2)
  for (const name of ['1', '2', '3', '4']) void come(name)
  await settled()
  t.deepEqual(order, ['1', '2'])
  t.is(gate.waiting, 2)
  await leave('2')
  await leave('2')
  t.deepEqual(order, ['1', '2', '3'])
  await leave('1')
  t.deepEqual(order, ['1', '2', '3', '4'])
  t.is(gate.waiting, 0)
})

test('clients take turns, however many requests one of them has', async (t) => {
  const { order, come, leave } = crowd(1)
  for (const name of ['a1', 'a2', 'a3', 'a4']) void come(name, 'a')
  for (const name of ['b1', 'b2']) void come(name, 'b')
  void come('c1', 'c')
  await settled()
  for (const name of ['a1', 'b1', 'c1', 'a2', 'b2', 'a3']) {
    t.is(order.at(-1), name)
    await leave(name)
  }
  t.is(order.at(-1), 'a4')
})

test('lower priorities come first, whoever has them', async (t) => {
  const { order, come, leave } = crowd(1)
  void come('first')
  void come('late', 'a', 5)
  void come('usual', 'a', 0)
  void come('soon', 'b', -1)
  await settled()
  for (const name of ['first', 'soon', 'usual', 'late']) {
    t.is(order.at(-1), name)
    await leave(name)
  }
})

test('one that takes several places waits for them, and is not overtaken', async (t) => {
  const { order, come, leave } = crowd(3)
  void come('1')
  void come('2')
  void come('all', 'a', 0, 99)
  void come('3')
  await settled()
  t.deepEqual(order, ['1', '2'])
  await leave('1')
  t.deepEqual(order, ['1', '2'])
  await leave('2')
  t.deepEqual(order, ['1', '2', 'all'])
  await leave('all')
  t.deepEqual(order, ['1', '2', 'all', '3'])
})

test('one that pauses lends its place, and has it again when it goes on', async (t) => {
  const { order, come, leave, inside } = crowd(1)
  void come('slow')
  void come('other')
  void come('third')
  await settled()
  inside.get('slow')?.pause()
  inside.get('slow')?.pause()
  await settled()
  t.deepEqual(order, ['slow', 'other'])
  inside.get('slow')?.resume()
  await leave('other')
  t.deepEqual(order, ['slow', 'other'])
  inside.get('slow')?.pause()
  await settled()
  t.deepEqual(order, ['slow', 'other', 'third'])
  await leave('slow')
  await leave('third')
  void come('last')
  await settled()
  t.is(order.at(-1), 'last')
})

test('whoever stops waiting lets those behind it in', async (t) => {
  const { gate, order, come, leave } = crowd(2)
  const controller = new AbortController()
  void come('1')
  const large = come('large', 'a', 0, 2, controller.signal)
  void come('2')
  await settled()
  t.deepEqual(order, ['1'])
  controller.abort(new Error('gone'))
  await t.throwsAsync(large, { message: 'gone' })
  t.deepEqual(order, ['1', '2'])
  await t.throwsAsync(come('never', 'a', 0, 1, controller.signal), { message: 'gone' })
  await leave('1')
  await leave('2')
  t.is(gate.waiting, 0)
})

/** Numbers that look random and are the same each time. */
function* numbers(seed: number) {
  for (let state = seed; ; ) {
    state = (state * 1664525 + 1013904223) % 2 ** 32
    yield state / 2 ** 32
  }
}

test('whatever comes, goes, pauses and stops: no place is lost and none given twice', async (t) => {
  for (let seed = 1; seed <= 30; seed += 1) {
    const random = numbers(seed)
    const next = (count: number) => Math.floor((random.next().value ?? 0) * count)
    const places = 1 + next(5)
    const gate = new Gate(places)
    const inside = new Map<Place, { weight: number; isPaused: boolean }>()
    const waiting: AbortController[] = []
    for (let step = 0; step < 200; step += 1) {
      const place = [...inside.keys()][next(inside.size || 1)]
      const what = next(5)
      if (what <= 1) {
        const controller = new AbortController()
        waiting.push(controller)
        const wish = { client: `${next(3)}`, priority: next(2), weight: 1 + next(6) }
        const weight = Math.min(wish.weight, places)
        gate.enter({ ...wish, signal: controller.signal }).then(
          (entered) => inside.set(entered, { weight, isPaused: false }),
          () => {},
        )
      } else if (what === 2 && place) {
        inside.delete(place)
        place.leave()
      } else if (what === 3 && place) {
        const state = inside.get(place)
        if (state) state.isPaused = !state.isPaused
        if (state?.isPaused) place.pause()
        else place.resume()
      } else waiting[next(waiting.length || 1)]?.abort()
      await settled()
      const taken = [...inside.values()].filter(({ isPaused }) => !isPaused)
      const sum = taken.reduce((sum, { weight }) => sum + weight, 0)
      // Only those that go on after a pause can make it more.
      const lent = [...inside.values()].reduce((sum, { weight }) => sum + weight, 0)
      t.true(sum <= Math.max(places, lent), `seed ${seed}`)
      if (sum === 0) t.is(gate.waiting, 0, `seed ${seed}: there is room`)
    }
    for (const place of inside.keys()) place.leave()
    for (let left = gate.waiting; left > 0; left -= 1) {
      await settled()
      for (const place of inside.keys()) place.leave()
    }
    await settled()
    t.is(gate.waiting, 0, `seed ${seed}`)
  }
})
