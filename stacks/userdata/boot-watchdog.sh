#!/bin/sh
# Powers the machine off when no agent gives a sign of life: it never came up, or it is stuck.
#
# Outside the agent and its release on purpose. The agent touches its `alive` file while it works.
# To keep a machine for a look: systemctl stop talkoot-boot-watchdog
set -eu

ROOT=${ROOT:-}
LIMIT_S=${LIMIT_S:-1200}
EVERY_S=${EVERY_S:-30}
ALIVE=$ROOT/var/lib/talkoot/alive

uptime_s() { cut -d. -f1 /proc/uptime; }

last=$(uptime_s)
seen=none
while :; do
    # What counts is that the file changes; clocks of fresh machines jump.
    now=$(stat --format %Y "$ALIVE" 2>/dev/null || echo none)
    if [ "$now" != "$seen" ]; then
        seen=$now
        last=$(uptime_s)
    fi
    if [ $(($(uptime_s) - last)) -ge "$LIMIT_S" ]; then
        echo "talkoot-boot-watchdog: no agent for $LIMIT_S s, powering off" >&2
        systemctl poweroff
        exit 0
    fi
    sleep "$EVERY_S"
done
