# Started by run.rs beside a test process: $1 is the mark in the environment of what it started, $2 its folder.
trap '' HUP INT QUIT TERM
while read -r _; do :; done

# Twice at least: what was between fork and exec at the first look carries its mark at the second.
quiet=0
while [ "$quiet" -lt 2 ]; do
    quiet=$((quiet + 1))
    for file in $(grep -slaF "$1" /proc/[0-9]*/environ); do
        pid=${file#/proc/}
        kill -KILL "${pid%/environ}" 2>/dev/null
        quiet=0
    done
    sleep 0.1
done

# A folder with a file `keep` in it belongs to a test that failed; its logs are wanted.
for entry in "$2"/*; do
    [ -e "$entry/keep" ] || rm -rf "$entry"
done
rmdir "$2" 2>/dev/null
