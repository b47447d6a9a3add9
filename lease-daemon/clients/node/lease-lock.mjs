// Locks of lease-daemon, with nothing but what Node.js 18 brings. Copy this file.
//
//   await withLock('orders.42', { ttl: 15, wait: 60 }, async ({ token, signal }) => {
//     await fetch(url, { signal, headers: { 'Fencing-Token': token } })   // aborted when the lock is lost
//   })                                                                    // and then this rejects with Lost
//
// Nothing can stop a function that does not look: pass `signal` to whatever takes one, or call
// `signal.throwIfAborted()` between two steps.

import http from 'node:http'
import os from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** The lock was lost before the work had ended. Its message is the reason. */
export class Lost extends Error {}
/** Somebody else held it, or no daemon could be reached, for as long as we would wait. */
export class NotGranted extends Error {}
/** The request is wrong, or the daemon cannot serve it for now: `problem` is what it said. */
export class Refused extends Error {
  constructor (problem) {
    super(`${problem.detail} (${problem.code})`)
    this.problem = problem
  }
}

const defaultSocket = () => process.env.LEASE_SOCKET ||
  (process.env.XDG_RUNTIME_DIR ? `${process.env.XDG_RUNTIME_DIR}/lease.sock` : '/run/lease/lease.sock')

/** Milliseconds of CLOCK_BOOTTIME, which goes on while the machine sleeps. Node tells it to 10 ms: we take the end of them. */
const bootTime = () => os.uptime() * 1000 + 10

/**
 * Runs `work({ name, token, signal, remaining })` while it holds the lock `name`, and settles as that does.
 * `ttl` and `wait` are seconds: 0 does not wait, without it there is no end to waiting. `signal` ends the waiting, and
 * the work. Other settings are further fields of the request, such as `owner: 'worker-7'` or `shared: true`.
 */
export async function withLock (name, { ttl = 20, wait, socket = defaultSocket(), signal, ...settings }, work) {
  const { events, close, grant } = await granted(socket, name, wait, { ttl: millis(ttl), ...settings }, signal)
  const loss = new AbortController()
  const lose = (reason) => loss.abort(new Lost(reason))
  const forward = () => loss.abort(signal.reason)
  let deadline = grant.deadline_boottime_ns / 1e6
  const remaining = () => loss.signal.aborted ? 0 : Math.max(deadline - bootTime(), 0)
  // Timers stand still while the machine sleeps, so the clock is looked at again and again.
  const clock = setInterval(() => remaining() > 0 || lose('expired'), 100)
  follow(events, (later) => { deadline = later / 1e6 }).then(lose, () => lose('disconnected'))
  signal?.addEventListener('abort', forward)
  try {
    if (signal?.aborted) forward()
    const outcome = await work({ name, token: grant.token, signal: loss.signal, remaining })
    if (remaining() === 0) lose('expired') // unless it was lost before
    loss.signal.throwIfAborted()
    return outcome
  } catch (error) {
    // What aborted work throws says less than why it was aborted.
    throw loss.signal.aborted ? loss.signal.reason : error
  } finally {
    clearInterval(clock)
    signal?.removeEventListener('abort', forward)
    close() // this is what releases it
  }
}

/** Takes in the news until it is lost, and gives the reason. */
async function follow (events, renewed) {
  for await (const event of events) {
    if (event.event === 'alive') renewed(event.deadline_boottime_ns)
    if (event.event === 'lost') return event.reason
  }
  return 'disconnected'
}

/** Asks until it is granted. A daemon that is away or restarts is asked again, as long as we would wait. */
async function granted (socket, name, wait, body, signal) {
  const until = wait === undefined ? Infinity : performance.now() + wait * 1000
  for (let pause = 100; ; pause = Math.min(pause * 2, 2000)) {
    const left = Math.max(until - performance.now(), 0)
    let trouble
    try {
      if (wait === undefined) return await ask(socket, name, body, [signal])
      // The daemon keeps to the wait; should it hang, the signal ends it.
      const limit = AbortSignal.timeout(Math.ceil(left) + 5000)
      return await ask(socket, name, { ...body, wait: millis(left / 1000) }, [signal, limit])
    } catch (error) {
      if (signal?.aborted) throw signal.reason
      if (error instanceof NotGranted || error.code === 'EACCES') throw error
      const { code, retry } = error.problem ?? {}
      if (code === 'held' || code === 'wait-elapsed') throw new NotGranted(error.message)
      if (retry === 'never') throw error
      trouble = error.message
    }
    if (performance.now() + pause > until) {
      throw new NotGranted(`${name}: no grant in time from ${socket}; the last trouble: ${trouble}`)
    }
    await sleep(pause, undefined, { signal })
  }
}

/** One request, and its stream as far as the grant. */
async function ask (socketPath, name, body, signals) {
  const request = http.request({
    socketPath, method: 'POST', path: `/v1/locks/${encodeURIComponent(name)}/hold`, agent: false
  })
  const close = () => request.destroy() // leaves the line, or releases
  const abort = () => request.destroy(new Error('given up'))
  signals = signals.filter((signal) => signal)
  signals.forEach((signal) => signal.aborted ? abort() : signal.addEventListener('abort', abort))
  try {
    const response = await new Promise((resolve, reject) => {
      request.once('response', resolve)
      request.on('error', reject)
      request.end(JSON.stringify(body))
    })
    const events = lines(response)
    while (true) {
      const { value: event, done } = await events.next()
      if (done) throw new Error('the daemon closed the connection')
      if (response.statusCode !== 200) throw new Refused(event)
      if (event.event === 'held') return { events, close, grant: event }
      if (event.event === 'timeout') throw new NotGranted(`${name} is held by ${event.holder?.owner ?? 'somebody else'}`)
      if (event.event === 'lost') throw new Error(`the place in line is lost: ${event.reason}`)
    }
  } catch (error) {
    close()
    throw error
  } finally {
    signals.forEach((signal) => signal.removeEventListener('abort', abort))
  }
}

/** The lines of an answer, each of which is JSON. */
async function * lines (response) {
  let text = ''
  for await (const part of response.setEncoding('utf8')) {
    const whole = (text + part).split('\n')
    text = whole.pop()
    for (const line of whole) yield JSON.parse(line)
  }
}

const millis = (seconds) => `${Math.round(seconds * 1000)}ms`
