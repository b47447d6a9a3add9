"""Locks of lease-daemon for asyncio, with nothing but the standard library (Python 3.11). Copy this file.

    async with lock("orders.42", ttl=15, wait=60) as held:
        await work(held.token)      # cancelled when the lock is lost; the block then raises Lost

Blocking work cannot be cancelled: do it in steps, each `await asyncio.to_thread(step)`; a loss comes between two.
"""

import asyncio
import json
import os
import time
from contextlib import asynccontextmanager
from urllib.parse import quote


class Lost(Exception):
    """The lock was lost before the work had ended; the work has been cancelled. Its text is the reason."""


class NotGranted(Exception):
    """Somebody else held it, or no daemon could be reached, for as long as we would wait."""


class Refused(Exception):
    """The request is wrong, or the daemon cannot serve it for now: `problem` is what it said."""

    def __init__(self, problem):
        super().__init__(f"{problem['detail']} ({problem['code']})")
        self.problem = problem


class Held:
    """A lock that is held."""

    def __init__(self, grant):
        self.name, self.token, self.lost = grant["name"], grant["token"], None
        self._deadline = grant["deadline_boottime_ns"]

    def remaining(self):
        """For how many seconds it is certainly ours; 0 once lost. This clock goes on while the machine sleeps."""
        left = self._deadline - time.clock_gettime_ns(time.CLOCK_BOOTTIME)
        return 0 if self.lost else max(left / 1e9, 0)

    async def _watch(self, reader, scope):
        """Ends `scope` when it is lost: by what the daemon says, or without a word from it."""
        while (left := self.remaining()) > 0:
            try:
                # Timers stand still while the machine sleeps, so the clock is looked at every second.
                async with asyncio.timeout(min(left, 1)):
                    event = json.loads(await reader.readline() or '{"event":"lost","reason":"disconnected"}')
            except TimeoutError:
                continue
            except (OSError, ValueError):  # the connection broke, perhaps within a line
                event = {"event": "lost", "reason": "disconnected"}
            if event["event"] == "alive":
                self._deadline = event["deadline_boottime_ns"]
            elif event["event"] == "lost":
                self.lost = event["reason"]
        self.lost = self.lost or "expired"
        scope.reschedule(0)


@asynccontextmanager
async def lock(name, *, ttl=20, wait=None, socket=None, **settings):
    """Holds the lock `name` during the block. `ttl` and `wait` are seconds: 0 does not wait, None waits for ever.
    `settings` are further fields of the request, such as owner="worker-7", metadata={"job": "42"}, shared=True."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    path = socket or os.environ.get("LEASE_SOCKET") or (f"{runtime}/lease.sock" if runtime else "/run/lease/lease.sock")
    reader, writer, grant = await _granted(path, name, wait, {"ttl": f"{ttl * 1000:.0f}ms", **settings})
    held = Held(grant)
    try:
        async with asyncio.timeout(None) as scope:
            watch = asyncio.create_task(held._watch(reader, scope))
            try:
                yield held
            finally:
                watch.cancel()
    except TimeoutError as error:
        if not scope.expired():
            raise  # the work's own
        raise Lost(held.lost) from error
    finally:
        writer.close()  # this is what releases it
    if held.remaining() == 0:
        raise Lost(held.lost or "expired")


async def _granted(path, name, wait, body):
    """Asks until it is granted. A daemon that is away or restarts is asked again, as long as we would wait."""
    until = float("inf") if wait is None else time.monotonic() + wait
    pause = 0.1
    while True:
        left = None if wait is None else max(until - time.monotonic(), 0)
        try:
            # The daemon keeps to the wait; should it hang, this ends it.
            async with asyncio.timeout(left if left is None else left + 5):
                return await _ask(path, name, body if left is None else {**body, "wait": f"{left * 1000:.0f}ms"})
        except (FileNotFoundError, ConnectionError, EOFError, TimeoutError) as error:
            trouble = error
        except Refused as refused:
            if refused.problem["code"] in ("held", "wait-elapsed"):
                raise NotGranted(str(refused)) from None
            if refused.problem["retry"] == "never":
                raise
            trouble = refused
        if time.monotonic() + pause > until:
            raise NotGranted(f"{name}: no grant in time from {path}; the last trouble: {trouble!r}") from trouble
        await asyncio.sleep(pause)
        pause = min(pause * 2, 2)


async def _ask(path, name, body):
    """One request, and its stream as far as the grant. HTTP/1.0, because then the lines come without chunks between."""
    reader, writer = await asyncio.open_unix_connection(path)
    try:
        target, body = f"/v1/locks/{quote(name, safe='')}/hold", json.dumps(body)
        writer.write(f"POST {target} HTTP/1.0\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
        status = (await reader.readuntil(b"\r\n")).split()[1]
        await reader.readuntil(b"\r\n\r\n")
        if status != b"200":
            raise Refused(json.loads(await reader.read()))
        while line := await reader.readline():
            event = json.loads(line)
            if event["event"] == "held":
                return reader, writer, event
            if event["event"] == "timeout":
                raise NotGranted(f"{name} is held by {event.get('holder', {}).get('owner', 'somebody else')}")
            if event["event"] == "lost":
                raise ConnectionError(f"the place in line is lost: {event['reason']}")
        raise EOFError("the daemon closed the connection")
    except BaseException:
        writer.close()  # leaves the line
        raise
