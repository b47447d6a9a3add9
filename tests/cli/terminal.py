"""Drives `lease run` in an interactive bash at a pseudo terminal; exits with 0 if all went as it should."""

import os
import pty
import re
import select
import sys
import time

LEASE = sys.argv[1]
LIMIT = 15

pid, tty = pty.fork()
if pid == 0:
    os.environ.update(PS1="ready> ", TERM="dumb", HISTFILE="/dev/null")
    os.execvp("bash", ["bash", "--norc", "--noprofile", "-i"])

seen = ""


def expect(pattern):
    """Reads until the pattern comes, and forgets everything up to its end."""
    global seen
    end = time.monotonic() + LIMIT
    while True:
        found = re.search(pattern, seen)
        if found:
            seen = seen[found.end():]
            return found
        left = end - time.monotonic()
        if left <= 0 or not select.select([tty], [], [], left)[0]:
            sys.exit(f"waited in vain for {pattern!r}; there is: {seen!r}")
        seen += os.read(tty, 65536).decode(errors="replace")


def foreground(name):
    """Waits until the terminal belongs to a program of this name. What is typed earlier, the shell might take."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        try:
            with open(f"/proc/{os.tcgetpgrp(tty)}/comm") as comm:
                if comm.read().strip() == name:
                    return
        except OSError:
            pass
        time.sleep(0.01)
    sys.exit(f"the terminal does not come to {name}; there is: {seen!r}")


def type_(text):
    os.write(tty, text.encode())


def shell(line):
    type_(line + "\n")


expect("ready> ")

# The command reads from the terminal; ^D ends its input.
shell(f"{LEASE} run t -- cat; echo code=$?")
foreground("cat")
type_("hello\n")
expect("hello\r\n(.*\n)?hello\r\n")
type_("\x04")
expect("code=0\r\n")
expect("ready> ")

# ^C reaches it, and only once. The shell has the terminal back afterwards.
shell(f"{LEASE} run t -- sh -c 'trap \"echo got; exit 9\" INT; echo up; while :; do sleep 0.05; done'; echo code=$?")
expect("up\r\n")
foreground("sh")
type_("\x03")
expect("got\r\n")
assert expect("(got|code=.*)\r\n").group(1) == "code=9"
expect("ready> ")

# ^Z stops the job, fg continues it.
shell(f"{LEASE} run t -- cat")
foreground("cat")
type_("one\n")
expect("one\r\n(.*\n)?one\r\n")
type_("\x1a")
expect("Stopped")
expect("ready> ")
shell("echo meanwhile")
expect("\nmeanwhile\r\n")
shell("fg; echo code=$?")
foreground("cat")
type_("two\n")
expect("two\r\n(.*\n)?two\r\n")
type_("\x04")
expect("code=0\r\n")
expect("ready> ")

# In the background it stops when it wants to read, as any job does.
shell(f"{LEASE} run t -- cat &")
expect("ready> ")
state = "Running"
while state == "Running":
    time.sleep(0.02)
    shell("jobs")
    state = expect(r"\[1\]\S*\s+(Running|Stopped)").group(1)
    expect("ready> ")
shell("fg; echo code=$?")
foreground("cat")
type_("three\n")
expect("three\r\n(.*\n)?three\r\n")
type_("\x04")
expect("code=0\r\n")
expect("ready> ")

# In front of a pager the pager keeps the terminal, and ^C ends both.
shell(f"{LEASE} run t -- sh -c 'while echo line; do sleep 0.05; done' | sh -c 'read a; echo got $a; read b < /dev/tty; echo $b'")
expect("got line\r\n")
type_("typed\n")
expect("typed\r\n(.*\n)?typed\r\n")
expect("ready> ")

# Input from a pipe, a question at the terminal.
shell(f"echo x | {LEASE} run t -- sh -c 'read a < /dev/tty; echo answer=$a'; echo code=$?")
foreground("sh")
type_("yes\n")
expect("answer=yes\r\n")
expect("code=0\r\n")
expect("ready> ")

# Who waits at a terminal is told for whom, and ^C leaves the line.
shell(f"{LEASE} run t -- sleep 1000 < /dev/null &")
expect("ready> ")
while True:
    shell(f"{LEASE} ls")
    if expect(r"\nt  .*\r\nready> |no lock is held\r\nready> ").group().startswith("\nt "):
        break
shell(f"{LEASE} run t -- true; echo code=$?")
expect(r"lease: waiting for t, \d+ ahead in line; held by \S+ on \S+ since \S+ \(token \d+\)\r\n")
type_("\x03")
expect("code=130\r\n")
expect("ready> ")
shell("kill %1; wait %1; echo code=$?")
expect("code=143\r\n")
expect("ready> ")

shell("exit")
