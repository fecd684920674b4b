# SPDX-License-Identifier: BSD-3-Clause
"""What the benchmarks that measure daemons side by side share: starting a daemon, and showing numbers.

The first daemon is the one that the others, its peers, are compared with.
"""
import contextlib
import datetime
import json
import os
import pathlib
import platform
import shlex
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from xml.sax.saxutils import escape

START_S = 10  # that a daemon may take until it listens and takes a connection
PROBE_S = 0.5  # as long a look at the hypervisor takes
REST_S = 2  # between two of them
UNKNOWN = "unknown"
COLOURS = ("#1b6ca8", "#d9822b", "#7a9e3f", "#a04a8c", "#777777", "#b33f40")


def parse_daemons(parser, words, *reserved):
    """{name: command} of words NAME=COMMAND."""
    daemons = {}
    for word in words:
        name, sep, command = word.partition("=")
        if not sep or not name or name in reserved or name in daemons:
            parser.error(f"--daemon={word}: wants a NAME of its own, = and a command")
        daemons[name] = shlex.split(command)
    return daemons


def on_cpus(cpus, command):
    """@command so that it runs on the CPUs of a list like 0,2-3 only; as it is if that is empty."""
    return ["taskset", "-c", cpus, *command] if cpus else command


def end_group(process):
    """Ends a daemon and what it started, all of one process group of their own."""
    for sig, wait in ((signal.SIGTERM, 5), (signal.SIGKILL, 5)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sig)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(wait)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def running(name, command, work):
    """A fresh daemon on an empty share, @command with {socket} and {share} filled in: yields socket, share, its session, and
    the time.monotonic() of its start."""
    share = work / "share"
    shutil.rmtree(share, ignore_errors=True)
    share.mkdir()
    run = pathlib.Path(tempfile.mkdtemp(dir=work))  # of its own: a process of the last one may hold a pid file for a moment
    listens, log = run / "socket", run / "log"
    words = [w.replace("{socket}", str(listens)).replace("{share}", str(share)) for w in command]
    with open(log, "w", encoding="utf-8") as out:
        began = time.monotonic()
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True)
    try:
        while not listens.exists():
            if process.poll() is not None or time.monotonic() > began + START_S:
                raise RuntimeError(f"{name} does not listen:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.0005)
        yield listens, share, process.pid, began
    finally:
        end_group(process)
        shutil.rmtree(run, ignore_errors=True)


def processes(session):
    """The /proc/PID of each process of a session."""
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if os.getsid(int(entry.name)) == session:
                    yield entry


def proportional_kib(session):
    """Memory of all processes of a session, what they share counted once; None if that of one is not to be known."""
    total = 0
    for entry in processes(session):
        pss = first_line(entry / "smaps_rollup", "Pss:")
        if pss != UNKNOWN:
            total += int(pss.split()[0])
        elif first_line(entry / "status", "VmSize:") != UNKNOWN:  # it has not ended
            return None
    return total


def cpu_seconds(session):
    """What the processes that a session has now have spent, threads that have ended included."""
    spent = 0
    for entry in processes(session):
        with contextlib.suppress(OSError):
            spent += time.clock_gettime((~int(entry.name) << 3) | 2)  # as clock_getcpuclockid(3)
    return spent


def start_and_rest(name, command, work):
    """(milliseconds until a fresh daemon has answered its first message, KiB that it holds when it then has nothing to do)"""
    get_features = struct.pack("=III", 1, 1, 0)
    with running(name, command, work) as (path, _, session, began), socket.socket(socket.AF_UNIX) as front_end:
        front_end.settimeout(START_S)
        while front_end.connect_ex(str(path)):
            if time.monotonic() > began + START_S:
                raise RuntimeError(f"{name} takes no connection")
            time.sleep(0.0005)
        front_end.sendall(get_features)
        if not front_end.recv(64):
            raise RuntimeError(f"{name} does not answer")
        took = (time.monotonic() - began) * 1000
        time.sleep(0.3)
        return took, proportional_kib(session)


def quiet_options(parser):
    """The options that quietly() reads."""
    parser.add_argument("--max-stolen", type=float, default=3, metavar="PERCENT",
                        help="what a hypervisor may take of the CPUs' busy time during a measurement; above it is done again [3]")
    parser.add_argument("--tries", type=int, default=6, metavar="N", help="but not more than so often: the least disturbed counts [6]")
    parser.add_argument("--patience", type=float, default=0, metavar="S",
                        help="wait for so long, altogether, until the hypervisor takes less than that ahead of a measurement [0]")
    parser.set_defaults(taken=[], waited=0)


def busy_and_stolen():
    """Ticks since the start: (CPUs had something to do, and could not as a hypervisor gave them to another machine)."""
    with open("/proc/stat", encoding="ascii") as f:
        user, nice, system, _, _, irq, softirq, stolen, *_ = map(int, f.readline().split()[1:])
    return user + nice + system + irq + softirq + stolen, stolen


def share_taken(before):
    """What a hypervisor took since then of the CPUs' busy time, in percent."""
    busy, stolen = (now - then for then, now in zip(before, busy_and_stolen()))
    return 100 * stolen / max(busy, 1)


def is_quiet(args):
    """Only a busy CPU shows what is taken of it."""
    before = busy_and_stolen()
    spinners = [subprocess.Popen(["timeout", str(PROBE_S), "sh", "-c", "while :; do :; done"]) for _ in range(os.cpu_count())]
    for spinner in spinners:
        spinner.wait()
    return share_taken(before) <= args.max_stolen


def await_quiet(args):
    """As long as --patience lasts."""
    began = time.monotonic()
    while args.waited + time.monotonic() - began < args.patience and not is_quiet(args):
        time.sleep(REST_S)
    if args.patience:
        args.waited += time.monotonic() - began


def quietly(args, measured, *given):
    """What @measured(*given) returned when the hypervisor took least; args.taken gets the percentage. None if it failed, which ends it."""
    tries = []
    while not tries or (len(tries) < args.tries and tries[-1][0] > args.max_stolen):
        await_quiet(args)
        before = busy_and_stolen()
        result = measured(*given)
        if result is None:
            return None
        tries.append((share_taken(before), result))
    least = min(tries, key=lambda t: t[0])
    args.taken.append(least[0])
    return least[1]


def told_quiet(args):
    """What quietly() did, for the page."""
    return (f"A measurement during which a hypervisor took more than {args.max_stolen:g} % of the CPUs' busy time was done again, "
            f"up to {max(args.tries - 1, 0)} times, and the least disturbed counts: of the {len(args.taken)} that count, "
            f"{sum(t > args.max_stolen for t in args.taken)} were still disturbed."
            + (f" Ahead of them it was waited for quiet moments, {args.waited:.0f} s in all." if args.patience else ""))


def pinned(args):
    """Options of colofs-bench that keep driver and daemon on CPUs of their own."""
    return [*(["--driver-cpus=" + args.driver_cpus] if args.driver_cpus else []),
            *(["--daemon-cpus=" + args.daemon_cpus] if args.daemon_cpus else [])]


def measure(args, words):
    """One run of colofs-bench with one load: its result, or None with a word to the user if it failed."""
    run = subprocess.run([args.bench, "--json", f"--seconds={args.seconds}", *args.bench_option, *words],
                         capture_output=True, text=True, timeout=args.seconds * 10 + 120, check=False)
    if run.returncode:
        print(f"{' '.join(words)}: {run.stderr.strip()}", file=sys.stderr)
        return None
    return json.loads(run.stdout)["loads"][0]


def measure_fresh(args, name, command, work, options, load):
    """measure() of a daemon that is started for it."""
    with running(name, command, work) as (listens, share, *_):
        return measure(args, [*options, f"--host-dir={share}", str(listens), load])


def show(value):
    if value is None:
        return "-"
    if value >= 100000:
        return f"{value / 1000:.0f}k"
    if value >= 10000:
        return f"{value / 1000:.1f}k"
    return f"{value:.0f}" if value >= 100 else f"{value:.2f}"


def ratio(a, b):
    return f"{a / b:.2f}" if a is not None and b else "-"


def best(values, least):
    values = [v for v in values if v is not None]
    return (min(values) if least else max(values)) if values else None


def middle(values):
    """The median of those that are known; None if none is."""
    values = [v for v in values if v is not None]
    return statistics.median(values) if values else None


def first_line(path, key):
    with contextlib.suppress(OSError):
        for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines():
            if line.startswith(key):
                return line.split(":", 1)[1].strip()
    return UNKNOWN


def machine(work):
    fs = subprocess.run(["stat", "-f", "-c", "%T", str(work)], capture_output=True, text=True, check=False)
    load = os.getloadavg()
    return [f"processor: {first_line('/proc/cpuinfo', 'model name')}, {os.cpu_count()} CPUs",
            f"memory: {first_line('/proc/meminfo', 'MemTotal')}",
            f"kernel: {platform.system()} {platform.release()}",
            f"file system of the share: {fs.stdout.strip() or UNKNOWN}",
            f"load average at the end: {load[0]:.2f} (a machine that does other things too measures those)",
            f"date: {datetime.date.today().isoformat()}"]


def version(command):
    """What the program calls itself; a wrapper's first line will do."""
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        run = subprocess.run([command[0], "--version"], capture_output=True, text=True, timeout=10, check=False)
        lines = (run.stdout or run.stderr).splitlines()
        return lines[0].strip() if lines else UNKNOWN
    return UNKNOWN


def told(daemons):
    """A line for each daemon: what it calls itself, and its command without the folders that only this machine has."""
    return [f"- {name}: {version(command)}; `{' '.join([pathlib.Path(command[0]).name, *command[1:]])}`"
            for name, command in daemons.items()]


def page_table(rows):
    """Markdown of [[cell, ...], ...], the first row being the head: words to the left, numbers to the right."""
    head, *rest = rows
    return "\n".join("| " + " | ".join(r) + " |" for r in [head, ["---"] + ["---:"] * (len(head) - 1), *rest])


def chart(title, names, groups):
    """An SVG of bars: @groups is {label: [value of each of @names]}, more is better, and 1 is the best of the peers."""
    bar, gap = 9, 10
    left = max([150, *(20 + 6 * len(label) for label in groups)])
    width = left + 610
    step = bar * len(names) + gap
    top = 40 + 16 * len(names)
    height = top + step * len(groups) + 20
    scaled = {}
    for label, values in groups.items():
        one = best(values[1:] or values, False)
        scaled[label] = [v / one if v is not None and one else None for v in values]
    most = max([v for g in scaled.values() for v in g if v is not None] + [1.0])
    unit = (width - left - 60) / most
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
           f'font-size="11"><rect width="{width}" height="{height}" fill="white"/>',
           f'<text x="10" y="20" font-size="14">{escape(title)}</text>']
    for i, name in enumerate(names):
        y = 32 + 16 * i
        out.append(f'<rect x="10" y="{y}" width="10" height="10" fill="{COLOURS[i % len(COLOURS)]}"/>'
                   f'<text x="26" y="{y + 9}">{escape(name)}</text>')
    for g, (label, values) in enumerate(scaled.items()):
        y = top + step * g
        out.append(f'<text x="{left - 8}" y="{y + step / 2}" text-anchor="end">{escape(label)}</text>')
        for i, v in enumerate(values):
            if v is not None:
                out.append(f'<rect x="{left}" y="{y + bar * i}" width="{v * unit:.1f}" height="{bar - 1}" '
                           f'fill="{COLOURS[i % len(COLOURS)]}"/>'
                           f'<text x="{left + v * unit + 4:.1f}" y="{y + bar * (i + 1) - 2}" font-size="9">{v:.2f}</text>')
    x = left + unit
    out.append(f'<line x1="{x:.1f}" y1="{top - 4}" x2="{x:.1f}" y2="{height - 14}" stroke="#333" stroke-dasharray="3,3"/>')
    return "\n".join([*out, "</svg>", ""])
