// main.mjs NAME TTL WAIT [again]: works under a lock until a line comes in; with `again`, takes it anew after a loss.

import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { Lost, NotGranted, Refused, withLock } from './lease-lock.mjs'

const [name, ttl, wait, again] = process.argv.slice(2)
const options = { ttl: Number(ttl), wait: wait === '-' ? undefined : Number(wait) }
const line = once(createInterface({ input: process.stdin }), 'line')

async function work ({ token, signal }) {
  console.log(`held ${token}`)
  await Promise.race([line, once(signal, 'abort')])
  if (signal.aborted) console.log('stopped')
  signal.throwIfAborted()
}

while (true) {
  try {
    await withLock(name, options, work)
    console.log('released')
    process.exit(0)
  } catch (error) {
    if (error instanceof Lost) {
      console.log(`lost ${error.message}`)
      if (again) continue
      process.exit(79)
    }
    if (!(error instanceof NotGranted || error instanceof Refused)) throw error
    console.log(error instanceof NotGranted ? 'not-granted' : 'refused', error.message)
    process.exit(error instanceof NotGranted ? 75 : 64)
  }
}
