#!/bin/sh
# The first process of the machine that cgroup2.sh boots: it runs the tests, says
# on the console how they went, and turns the machine off.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
export COVE_IMAGES=/images COVE_RUNSC=/usr/bin/runsc

mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
mount -t cgroup2 cgroup2 /sys/fs/cgroup
busybox ip link set lo up

echo "cgroup2: $(uname -sr), controllers: $(cat /sys/fs/cgroup/cgroup.controllers)"
failed=0
run() {
  echo "cgroup2: $*"
  "$@" || failed=1
  echo "cgroup2: at $(cut -d ' ' -f 1 /proc/uptime) s"
}
cd /tests || failed=1
# The network and the walls are the same on both versions.
run ./host.test -test.timeout 3m -test.run 'Cgroup|PIDs|Box|Mount|Process'
run ./oci.test -test.timeout 4m -test.run 'TestRunc|TestRecoverAfterKill/.*runc'
# gVisor starts slowly under emulation, so of its tests only those in which the
# kernel's control groups have a part.
run ./oci.test -test.timeout 4m -test.run 'TestGVisor/(start|stop|limits|pause)/(processor_time|busy|paused_does|past_its_memory|new_limits)'

[ $failed -ne 0 ] || echo "cgroup2: all tests passed"
sync
echo b >/proc/sysrq-trigger
sleep 60
