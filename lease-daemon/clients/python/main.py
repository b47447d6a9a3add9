"""main.py NAME TTL WAIT [again]: works under a lock until a line comes in; with `again`, takes it anew after a loss."""

import asyncio
import sys

from lease_lock import Lost, NotGranted, Refused, lock


async def work(held, lines):
    print("held", held.token, flush=True)
    try:
        await lines.readline()
    except asyncio.CancelledError:
        print("stopped", flush=True)
        raise


async def main(name, ttl, wait, again=""):
    lines = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    while True:
        try:
            async with lock(name, ttl=float(ttl), wait=None if wait == "-" else float(wait)) as held:
                await work(held, lines)
            return print("released")
        except Lost as lost:
            print("lost", lost, flush=True)
            if not again:
                return 79


try:
    sys.exit(asyncio.run(main(*sys.argv[1:])))
except NotGranted as error:
    print("not-granted", error)
    sys.exit(75)
except Refused as error:
    print("refused", error)
    sys.exit(64)
