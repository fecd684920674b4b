#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# The daemon as a service: manager.py plays systemd. And the units: what they name is there.
here=$(dirname "$(realpath "$0")")
. "$here/lib.sh"

python3 "$here/manager.py" "$COLOFSD" ${COLOFSD_ARGS:-} || fail "the service manager is not content"
LISTEN_FDS=1 LISTEN_PID=1 refused --socket-path --socket-path=PATH --shared-dir=share
for unit in colofsd@.service colofsd@.socket; do
	[ -s "$UNITS/$unit" ] || fail "there is no $unit"
	! grep -n '@[a-z]*dir@' "$UNITS/$unit" || fail "$unit is not filled in"
done
if command -v systemd-analyze >/dev/null; then
	mkdir -p units/bin
	sed "s|^\(Exec[A-Z][a-z]*\)=[^ ]*|\1=$COLOFSD|" "$UNITS/colofsd@.service" >units/colofsd@web.service
	cp "$UNITS/colofsd@.socket" units/colofsd@web.socket
	systemd-analyze verify --man=no units/colofsd@web.service units/colofsd@web.socket >log.units 2>&1 || fail "systemd does not like the units"
	! grep -i "colofsd@.*\(unknown\|ignor\)" log.units || fail "systemd ignores something"
fi
