"""Lets packets of a host be late: whatever is sent to DEVICE is kept for a while and then sent on by eth0.

python3 late.py DEVICE SEED MILLIS JITTER PERMILLE

Each packet waits for MILLIS more or less JITTER, and never overtakes another one; so many of 1,000 are lost. It says
`ready` when the device is there, which goes with the process. A packet that it sends itself cannot come back to it: its
socket is bound to eth0, where the wider route is the only one.
"""

import collections
import fcntl
import os
import random
import select
import socket
import struct
import sys
import time

TUNSETIFF = 0x400454CA
TUN_WITHOUT_HEADERS = 0x0001 | 0x1000
# Beyond so many that wait, further ones are lost, as where a buffer is full.
MOST_WAITING = 20_000


def main(device, seed, millis, jitter, permille):
    tun = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", device.encode(), TUN_WITHOUT_HEADERS))
    out = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    out.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"eth0")
    print("ready", flush=True)
    chance = random.Random(seed)
    waiting = collections.deque()
    last = 0.0
    while True:
        wait = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        if select.select([tun], [], [], wait)[0]:
            try:
                packet = os.read(tun, 65_536)
            except OSError:
                # The device is not up yet.
                time.sleep(0.01)
                continue
            is_lost = chance.randrange(1_000) < permille
            late = max(0, millis + chance.randint(-jitter, jitter)) / 1_000
            # Of IPv6 there are only the kernel's own announcements.
            if packet[0] >> 4 == 4 and not is_lost and len(waiting) < MOST_WAITING:
                last = max(last, time.monotonic() + late)
                waiting.append((last, packet))
        while waiting and waiting[0][0] <= time.monotonic():
            packet = waiting.popleft()[1]
            try:
                out.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
            except OSError:
                # No room, or nobody there: it is lost.
                pass


main(sys.argv[1], *(int(number) for number in sys.argv[2:6]))
