#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# --security-label with a guest whose SELinux has a policy: what it makes has the policy's label from the creating request on,
# whoever makes it. Argument: `own` for security.selinux on the host, `mapped` for another name there.
. "$(dirname "$0")/session.sh"
need checkpolicy setfattr getfattr setpriv python3
[ "$(id -u)" = 0 ] || skip "needs root"
# The host has no SELinux: without it these attributes take CAP_SYS_ADMIN.
[ ! -e /sys/fs/selinux/enforce ] || skip "the host has SELinux, whose policy does not know the test's labels"
options=(daemon:--security-label daemon:--modcaps=+sys_admin)
on_host=security.selinux
if [ "$1" = mapped ]; then
	on_host=trusted.guest.security.selinux
	options+=(daemon:--xattrmap=:map:security.selinux:trusted.guest.:)
fi

chmod 777 "$D"
setfattr -n $on_host -v u:object_r:share_t "$D"
checkpolicy -U allow -c 30 -o "$D/policy" "${0%.sh}.te" >"$T/checkpolicy.err" 2>&1 || { echo "checkpolicy refuses labels.te"; exit 1; }
session_start "${options[@]}"
is "SELinux in the guest" "" 'cp policy /tmp && rm policy && mount -t selinuxfs selinux /sys/fs/selinux && cat /tmp/policy >/sys/fs/selinux/load'
is "the share's own label" u:object_r:share_t 'stat -c %C .'

make='touch $n-file; mkdir $n-dir; ln -s x $n-link; mkfifo $n-fifo'
g "n=root; $make; mknod root-device c 1 3; mknod root-node p; ln root-file root-hard
	setpriv --reuid=1000 --regid=1000 --clear-groups sh -c 'n=user; $make'
	python3 -c 'import os; fd = os.open(\".\", os.O_TMPFILE | os.O_RDWR, 0o644); os.system(f\"ln -L /proc/{os.getpid()}/fd/{fd} tmpfile-file\")'
	cp root-file copied-file; mv root-node moved-fifo" >/dev/null
for name in {root,user}-{file,dir,link,fifo} root-device tmpfile-file copied-file moved-fifo root-hard; do
	type=${name#*-}
	[ "$type" != hard ] || type=file
	is "the guest's label of $name" "u:object_r:${type}_t" "stat -c %C $name"
	same "the host's label of $name" "u:object_r:${type}_t" "$(getfattr -h --absolute-names --only-values -n $on_host "$D/$name" 2>&1 | tr -d '\0')"
done
is "labels in a directory of another type" u:object_r:dir_t 'mkdir root-dir/sub; stat -c %C root-dir/sub'
is "a label that is changed" u:object_r:fifo_t 'setfattr -n security.selinux -v u:object_r:fifo_t root-file; echo 3 >/proc/sys/vm/drop_caches; stat -c %C root-hard'
same "and on the host" u:object_r:fifo_t "$(getfattr --absolute-names --only-values -n $on_host "$D/root-file" 2>&1 | tr -d '\0')"
session_end
verdict
