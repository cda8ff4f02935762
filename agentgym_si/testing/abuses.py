"""What hostile code tries on a sandbox; each abuse must leave it working and the host untouched."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from agentgym_si.errors import SandboxFileError
from agentgym_si.sandboxes.base import ExecResult, Sandbox
from agentgym_si.testing.hosts import (
    SOON_SECONDS,
    assert_gone,
    is_running,
    new_mark,
    own_addresses,
    secret_of_the_host,
)


def _endless_loop(sandbox: Sandbox) -> None:
    """A loop is interrupted at its deadline and leaves the interpreter's variables."""
    sandbox.exec("x = 1")
    result = sandbox.exec("while True:\n    pass", seconds=0.5)
    assert result.timed_out and result.exit_code is None, result
    assert result.seconds < 5, result
    assert sandbox.exec("print(x)").stdout == "1\n"


def _loop_that_catches_all(sandbox: Sandbox) -> None:
    """A loop that ignores every signal and catches every exception is killed."""
    source = (
        "import signal, subprocess\n"
        "for number in range(1, 65):\n"
        "    try: signal.signal(number, signal.SIG_IGN)\n"
        "    except (OSError, ValueError): pass\n"
        f"subprocess.Popen(['sleep', '{(mark := new_mark())}'], start_new_session=True)\n"
        "while True:\n"
        "    try:\n        while True: pass\n"
        "    except BaseException: pass\n"
    )
    result = sandbox.exec(source, seconds=0.5)
    assert result.timed_out and result.state_lost, result
    assert_gone(mark)


def _double_forked_daemon(sandbox: Sandbox) -> None:
    """A daemon lives on in its episode and not beyond; its deadline kills a program's."""
    mark = new_mark()
    source = (
        "import os\n"
        "if os.fork() == 0:\n"
        "    os.setsid()\n"
        "    if os.fork() == 0:\n"
        f"        os.execvp('sleep', ['sleep', '{mark}'])\n"
        "    os._exit(0)\n"
        "os.wait()\n"
    )
    assert sandbox.exec(source).exit_code == 0
    deadline = time.monotonic() + SOON_SECONDS
    while not is_running(mark) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert is_running(mark), "the daemon did not start: this check sees nothing"
    sandbox.reset()
    assert_gone(mark)
    other = new_mark()
    script = f"(setsid sleep {other} &) ; while :; do :; done"
    assert sandbox.exec(["bash", "-c", script], seconds=0.5).timed_out
    assert_gone(other)


def _fork_bomb(sandbox: Sandbox) -> None:
    """Processes that fork without end are all killed, though no fork succeeds any more."""
    source = "import os\nwhile True:\n    try: os.fork()\n    except OSError: pass\n"
    result = sandbox.exec(source, seconds=1.0)
    assert result.exit_code != 0, result
    assert sandbox.exec("print(1)").stdout == "1\n"


def _memory_bomb(sandbox: Sandbox) -> None:
    """Memory without end fails inside the box: an exception or a killed interpreter."""
    result = sandbox.exec("kept = []\nwhile True:\n    kept.append(bytearray(b'x') * (8 << 20))")
    assert result.exit_code not in (0, None), result
    sandbox.exec("kept = None")
    assert sandbox.exec("print(1)").stdout == "1\n"


def _disk_fill(sandbox: Sandbox) -> None:
    """All that can be written anywhere, in many files, is a few times the disk limit."""
    source = (
        "import os, tempfile\n"
        "total = 0\n"
        "for folder in ['.', '/tmp', tempfile.gettempdir(), '/dev/shm', '/dev/mqueue', '/run']:\n"
        "    for number in range(40):\n"
        "        try:\n"
        "            with open(os.path.join(folder, f'fill{number}'), 'wb', 0) as file:\n"
        "                for _ in range(10): total += file.write(b'x' * (1 << 20))\n"
        "        except OSError: pass\n"
        "print(total >> 20)\n"
    )
    result = sandbox.exec(source, seconds=8.0)
    if result.exit_code == 0:
        assert int(result.stdout) <= 80, f"{result.stdout.strip()} MiB were written"
    sandbox.reset()
    sandbox.write("room", b"x" * (1 << 20))


def _endless_output(sandbox: Sandbox) -> None:
    """Output without end is cut, held in no one's memory, and ends at the deadline."""
    result = sandbox.exec("while True:\n    print('x' * 10000)", seconds=0.7)
    assert result.cut and result.timed_out and len(result.stdout) <= 1 << 16, len(result.stdout)
    result = sandbox.exec("import sys; sys.stderr.write('y' * 50_000_000); print('end')")
    assert result.cut and result.exit_code == 0 and result.stdout == "end\n", result.exit_code
    result = sandbox.exec(["yes"], seconds=0.5)
    assert result.cut and result.timed_out and len(result.stdout) <= 1 << 16, len(result.stdout)


def _waiting_for_input(sandbox: Sandbox) -> None:
    """Whoever reads standard input finds its end."""
    assert "EOFError" in sandbox.exec("input()").stderr
    assert sandbox.exec(["cat"], seconds=5.0).exit_code == 0


def _network(sandbox: Sandbox) -> None:
    """No connection leaves the box, to this host's services least of all."""
    accepted: list[str] = []
    with socket.create_server(("0.0.0.0", 0)) as server:
        server.settimeout(0.1)
        port = server.getsockname()[1]
        over = threading.Event()

        def listen() -> None:
            while not over.is_set():
                try:
                    server.accept()[0].close()
                except TimeoutError:
                    continue
                accepted.append("a connection")

        listener = threading.Thread(target=listen)
        listener.start()
        try:
            hosts = sorted({"127.0.0.1", "172.17.0.1", "169.254.169.254", *own_addresses()})
            result = sandbox.exec(
                "import socket\n"
                f"for host in {hosts!r}:\n"
                f"    for port in ({port}, 80):\n"
                "        try:\n"
                "            socket.create_connection((host, port), 0.5).close(); print(host)\n"
                "        except OSError: pass\n"
                "try: print(socket.getaddrinfo('example.com', 80))\n"
                "except OSError: pass\n"
            )
        finally:
            over.set()
            listener.join()
    assert result.exit_code == 0 and result.stdout == "" and not accepted, (result, accepted)


def _host_and_engine(sandbox: Sandbox) -> None:
    """Neither the host's processes, its files nor the engine's socket can be seen."""
    with secret_of_the_host() as (path, secret):
        source = (
            "import glob, os\n"
            f"seen = []\nfor name in glob.glob('/proc/[0-9]*/*') + [{path!r}, '/etc/shadow']:\n"
            "    if name.endswith(('cmdline', 'environ')) or 'proc' not in name:\n"
            "        try: seen.append(open(name, 'rb').read())\n"
            "        except OSError: pass\n"
            f"print({secret[:8]!r} + {secret[8:]!r} in repr(seen), b'root:' in b''.join(seen))\n"
            "import socket\n"
            "for engine in ('/var/run/docker.sock', '/run/containerd/containerd.sock'):\n"
            "    try: print(socket.socket(socket.AF_UNIX).connect(engine))\n"
            "    except OSError: pass\n"
        )
        # The snippet's own text must not hold the secret in one piece: /proc/self may show it.
        result = sandbox.exec(source)
    assert (result.exit_code, result.stdout) == (0, "False False\n"), result


def _tampering_with_the_guest(sandbox: Sandbox) -> None:
    """The agent in the box can be neither read, killed, traced nor limited."""
    source = (
        "import os, resource, signal\n"
        "done = []\n"
        "agent = os.getppid()\n"
        "for name in ('mem', 'environ', 'maps', 'fd/0', 'fd/1'):\n"
        "    try: open(f'/proc/{agent}/{name}', 'rb+' if name != 'environ' else 'rb').read(1)\n"
        "    except OSError: continue\n"
        "    done.append(name)\n"
        "for pid in {1, agent}:\n"
        "    for number in (signal.SIGKILL, signal.SIGSTOP, signal.SIGINT, signal.SIGTERM):\n"
        "        try: os.kill(pid, number)\n"
        "        except OSError: pass\n"
        "    for call in (lambda: resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, 0)),\n"
        "                 lambda: os.setpriority(os.PRIO_PROCESS, pid, 19),\n"
        "                 lambda: os.sched_setaffinity(pid, {0})):\n"
        "        try: call()\n"
        "        except OSError: continue\n"
        "        done.append('limits')\n"
        "print(done)\n"
    )
    result = sandbox.exec(source)
    assert result.stdout == "[]\n", result
    assert sandbox.exec("print(1)").stdout == "1\n"


def _links_in_transfer(sandbox: Sandbox) -> None:
    """Reading and writing follow no link, leave the folder by no path, and hang on no pipe."""
    with secret_of_the_host() as (secret_path, secret):
        sandbox.exec(
            "import os\n"
            f"os.symlink({secret_path!r}, 'file'); os.symlink('/', 'root'); os.mkfifo('pipe')\n"
            f"os.mkdir('d'); os.symlink('../../..' + {secret_path!r}, 'd/up')\n"
        )
        outside = f"root{secret_path}"
        for path in ("file", outside, "pipe", "d/up", "d", "../x", "/etc/passwd", "d/../file", ""):
            for transfer in (sandbox.read, lambda name: sandbox.write(name, b"forged")):
                try:
                    got = transfer(path)
                except SandboxFileError:
                    continue
                raise AssertionError(f"{path!r} could be transferred: {got!r:.60}")
        assert Path(secret_path).read_text() == secret, "the host's file was changed"


def _another_episode(sandbox: Sandbox) -> None:
    """What one episode leaves, in folders, queues and shared memory, the next does not find."""
    leave = (
        "import ctypes, os, tempfile\n"
        "folders = ['.', '/tmp', tempfile.gettempdir(), '/dev/shm', '/dev/mqueue', '/var/tmp']\n"
        "for folder in folders:\n"
        "    try: open(os.path.join(folder, 'left-behind'), 'w').close()\n"
        "    except OSError: pass\n"
        "libc = ctypes.CDLL(None)\n"
        "print(libc.shmget(4242, 4096, 0o1666), libc.semget(4242, 1, 0o1666),\n"
        "      libc.msgget(4242, 0o1666))\n"
    )
    find = (
        "import ctypes, os\n"
        "found = [os.path.join(at, name) for top in ('.', '/tmp', '/dev', '/var', '/run')\n"
        "         for at, _, names in os.walk(top) for name in names if name == 'left-behind']\n"
        "libc = ctypes.CDLL(None)\n"
        "print(found, libc.shmget(4242, 0, 0), libc.semget(4242, 0, 0), libc.msgget(4242, 0))\n"
    )
    sandbox.exec(leave)
    sandbox.reset()
    result = sandbox.exec(find)
    assert result.stdout == "[] -1 -1 -1\n", result


def _time_bombs(sandbox: Sandbox) -> None:
    """A timer that kills the interpreter later is never taken for a success."""
    for bomb in (
        "import signal; signal.setitimer(signal.ITIMER_REAL, 0.2)",
        "import os, threading; threading.Timer(0.2, os._exit, [0]).start()",
    ):
        sandbox.reset()
        sandbox.exec(bomb)
        result = sandbox.exec("import time\nfor _ in range(100): time.sleep(0.02)\nprint('out')")
        assert result.state_lost and result.exit_code != 0, result
        assert sandbox.exec("print(1)").stdout == "1\n"
        sandbox.exec(bomb)
        time.sleep(1.0)
        result = sandbox.exec("print(1)")
        assert result.state_lost and result.stdout == "1\n", result
        sandbox.exec(bomb)
        sandbox.reset()
        assert sandbox.exec("import time; time.sleep(0.4); print(2)").stdout == "2\n"


def _interpreter_ends_itself(sandbox: Sandbox) -> None:
    """`os._exit(0)`, a crash and closed descriptors lose the state, and are said to."""
    for source, codes in (
        ("import os; os._exit(0)", {1}),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", {-9}),
        ("import ctypes; ctypes.string_at(0)", {-11}),
        ("import os\nif os.fork(): os._exit(0)\nimport time; time.sleep(60)", {1}),
        ("import os; os.closerange(0, 100)", {1, -9, 126}),
    ):
        sandbox.exec("x = 1")
        result = sandbox.exec(source, seconds=3.0)
        assert result.state_lost and result.exit_code in codes, (source, result)
        assert "NameError" in sandbox.exec("x").stderr, source


def _broken_text(sandbox: Sandbox) -> None:
    """Bytes that are no text, and text that is no Unicode, come out escaped."""
    result = sandbox.exec("import os; os.write(1, b'a\\xff\\x00\\xe2\\x82'); print('\\ud800')")
    assert result.stdout == "a\\xff\x00\\xe2\\x82\\ud800\n", result
    result = sandbox.exec(["printf", "\\377\\n"])
    assert result.stdout == "\\xff\n", result


def _forged_frames(sandbox: Sandbox) -> None:
    """Frames that a snippet writes itself neither confuse the steps after it nor the host."""
    frame = "struct.pack('>II', len(text), 0) + text"
    for text in ('{"nonce":"0","exit_code":0}', '{"ready":true}', "[", '{"call":true}', "1"):
        for descriptor in (1, 3, 4, 5):
            result = sandbox.exec(
                f"import os, struct\ntext = {text.encode()!r}\n"
                f"try: os.write({descriptor}, {frame})\nexcept OSError: pass\nraise KeyError(1)",
                seconds=3.0,
            )
            assert result.exit_code != 0, (text, descriptor, result)
            assert sandbox.exec(f"print({descriptor})").stdout == f"{descriptor}\n"


def _privileges(sandbox: Sandbox) -> None:
    """No root, no capabilities, no writable system, none of the kernel's odd doors."""
    source = (
        "import ctypes, os\n"
        "got = []\n"
        "for name in ('/usr/evil', '/etc/evil', '/bin/evil', '/evil', '/lib/evil'):\n"
        "    try: open(name, 'w').close()\n"
        "    except OSError: continue\n"
        "    got.append(name)\n"
        "for change in (os.setuid, os.setgid):\n"
        "    try: change(0)\n"
        "    except OSError: continue\n"
        "    got.append(change.__name__)\n"
        "libc = ctypes.CDLL(None)\n"
        "numbers = {'x86_64': [425, 250, 321, 323, 272, 101, 165],\n"
        "           'aarch64': [425, 219, 280, 282, 97, 117, 40]}[os.uname().machine]\n"
        "got += [number for number in numbers if libc.syscall(number, 0, 0, 0, 0, 0) >= 0]\n"
        "print(got, os.getuid() != 0)\n"
    )
    result = sandbox.exec(source)
    assert result.stdout == "[] True\n", result
    result = sandbox.exec(["bash", "-c", "grep -E 'CapEff|NoNewPrivs' /proc/self/status"])
    if result.exit_code == 0:
        assert result.stdout.split() == ["CapEff:", "0" * 16, "NoNewPrivs:", "1"], result


def _late_output(sandbox: Sandbox) -> None:
    """What a thread prints after its step comes with the next one, once."""
    sandbox.exec(
        "import threading, time\n"
        "threading.Thread(target=lambda: (time.sleep(0.2), print('late'))).start()"
    )
    time.sleep(0.5)
    results: list[ExecResult] = [sandbox.exec("print(1)"), sandbox.exec("print(2)")]
    assert [result.stdout for result in results] == ["late\n1\n", "2\n"], results


def _many_processes(sandbox: Sandbox) -> None:
    """A thousand processes one after the other leave no zombie that takes another's place."""
    result = sandbox.exec(
        "import os\nfor _ in range(1000):\n    if os.fork() == 0: os._exit(0)\n    os.wait()\n"
        "print('done')"
    )
    assert result.stdout == "done\n", result
    result = sandbox.exec(["bash", "-c", "for i in {1..200}; do (true &); done; echo done"])
    assert result.stdout == "done\n", result


def _folders_that_will_not_go(sandbox: Sandbox) -> None:
    """Folders without permissions, and far too deep, are gone with the episode or the box is."""
    sandbox.exec(
        "import os\nos.makedirs('a/b/c'); open('a/b/f', 'w').close()\n"
        "for name in ('a/b/c', 'a/b', 'a'): os.chmod(name, 0)\n"
        "os.mkdir('deep')\nos.chdir('deep')\n"
        "for _ in range(3000): os.mkdir('d'); os.chdir('d')"
    )
    sandbox.reset()
    assert sandbox.exec("import os; print(os.listdir())").stdout == "[]\n"


ABUSES: Mapping[str, Callable[[Sandbox], None]] = {
    abuse.__name__.strip("_"): abuse
    for abuse in (
        _endless_loop,
        _loop_that_catches_all,
        _double_forked_daemon,
        _fork_bomb,
        _memory_bomb,
        _disk_fill,
        _endless_output,
        _waiting_for_input,
        _network,
        _host_and_engine,
        _tampering_with_the_guest,
        _links_in_transfer,
        _another_episode,
        _time_bombs,
        _interpreter_ends_itself,
        _broken_text,
        _forged_frames,
        _privileges,
        _late_output,
        _many_processes,
        _folders_that_will_not_go,
    )
}
"""Every abuse by name."""
