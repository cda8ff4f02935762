"""What the kernel is told to deny: a seccomp filter, a Landlock ruleset, resource limits.

The filter is there in every tier: Docker's own default of 2020 still lets io_uring through, and in
a box of one user it keeps a program from renicing or limiting the guest's agent.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
from collections.abc import Iterable, Sequence

ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""AUDIT_ARCH_* by `platform.machine()`; on any other machine the guest refuses to start."""

# System call: (number on x86-64, number on aarch64).
DENIED = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "pidfd_getfd": (438, 438),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "unshare": (272, 97),
    "setns": (308, 268),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "syslog": (103, 116),
    "personality": (135, 92),
    # System V and POSIX queues would outlive their episode.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
}
CLONE3 = (435, 435)
CLONE = (56, 220)
SOCKET, SOCKETPAIR = (41, 198), (53, 199)
IOCTL = (16, 29)
# Calls that act on another process when this argument is not 0 ("myself").
ONLY_MYSELF = (
    ((302, 261), 0),  # prlimit64
    ((203, 122), 0),  # sched_setaffinity
    ((144, 119), 0),  # sched_setscheduler
    ((142, 118), 0),  # sched_setparam
    ((314, 274), 0),  # sched_setattr
    ((141, 140), 1),  # setpriority
    ((251, 30), 1),  # ioprio_set
)
CLONE_NEW = 0x7E020080
"""All CLONE_NEW* flags: namespaces of every kind."""
TIOCSTI, TIOCLINUX = 0x5412, 0x541C
AF_UNIX, NO_FAMILY = 1, 0xFFFF

LOAD, JUMP_EQUAL, JUMP_SET, JUMP_AT_LEAST, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
ALLOW, KILL_PROCESS, ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
NUMBER_AT, ARCHITECTURE_AT, ARGUMENTS_AT = 0, 4, 16
X32_BIT = 0x40000000

PR_SET_DUMPABLE, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, PR_SET_CHILD_SUBREAPER = 4, 22, 38, 36
LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_LEAST_ABI = 6
"""The first whose programs cannot signal processes outside (Linux 6.12)."""
READ, WRITE, ALL_FILES = 0b1101, 0b1111111111111111, 0b1111111111111111
FILE_RIGHTS = 0b1100000000000111
"""The rights that make sense on a plain file: execute, write, read, truncate, ioctl."""

_libc = ctypes.CDLL(None, use_errno=True)


def prctl(option: int, *values: int) -> None:
    """Change an attribute of this process; raises OSError."""
    arguments = [ctypes.c_ulong(value) for value in (*values, 0, 0, 0, 0)[:4]]
    if _libc.prctl(option, *arguments) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl({option}): {os.strerror(code)}")


def seccomp_program(machine: str, *, network: bool, local: bool) -> bytes:
    """Return the filter as classic BPF; raises OSError for a machine it does not know.

    Args:
        machine: as `platform.machine()` names it.
        network: whether sockets of every kind may be made.
        local: whether those of this machine (AF_UNIX) may; pairs always may.
    """
    if machine not in ARCHITECTURES:
        known = " or ".join(ARCHITECTURES)
        raise OSError(errno.ENOSYS, f"expected a machine of type {known}, got {machine}")
    column = list(ARCHITECTURES).index(machine)
    code: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, ARCHITECTURE_AT),
        (JUMP_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER_AT),
        (JUMP_AT_LEAST, 0, 1, X32_BIT),
        (RETURN, 0, 0, ERRNO | errno.ENOSYS),
    ]
    for numbers in DENIED.values():
        code += _when_number(numbers[column], [(RETURN, 0, 0, ERRNO | errno.EPERM)])
    # The C library falls back from clone3, whose flags a filter cannot see, to clone.
    code += _when_number(CLONE3[column], [(RETURN, 0, 0, ERRNO | errno.ENOSYS)])
    code += _when_number(CLONE[column], _deny_argument(0, JUMP_SET, CLONE_NEW))
    for request in (TIOCSTI, TIOCLINUX):
        code += _when_number(IOCTL[column], _deny_argument(1, JUMP_EQUAL, request))
    for both, argument in ONLY_MYSELF:
        code += _when_number(both[column], _allow_argument(argument, 0))
    if not network:
        code += _when_number(SOCKET[column], _allow_argument(0, AF_UNIX if local else NO_FAMILY))
        code += _when_number(SOCKETPAIR[column], _allow_argument(0, AF_UNIX))
    code.append((RETURN, 0, 0, ALLOW))
    return b"".join(struct.pack("=HBBI", *line) for line in code)


def _when_number(
    number: int, then: Sequence[tuple[int, int, int, int]]
) -> list[tuple[int, int, int, int]]:
    return [(JUMP_EQUAL, 0, len(then), number), *then]


def _deny_argument(argument: int, test: int, value: int) -> list[tuple[int, int, int, int]]:
    return [
        (LOAD, 0, 0, ARGUMENTS_AT + 8 * argument),
        (test, 0, 1, value),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
        (LOAD, 0, 0, NUMBER_AT),
    ]


def _allow_argument(argument: int, value: int) -> list[tuple[int, int, int, int]]:
    return [
        (LOAD, 0, 0, ARGUMENTS_AT + 8 * argument),
        (JUMP_EQUAL, 1, 0, value),
        (RETURN, 0, 0, ERRNO | errno.EPERM),
        (LOAD, 0, 0, NUMBER_AT),
    ]


def install_filter(program: bytes) -> None:
    """Put this process and all it will start under the filter; raises OSError."""
    buffer = ctypes.create_string_buffer(program, len(program))
    head = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(buffer))
    holder = ctypes.create_string_buffer(head, len(head))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, 2, ctypes.addressof(holder))


def landlock_abi() -> int:
    """Return the kernel's Landlock version, 0 where there is none."""
    return max(0, int(_libc.syscall(LANDLOCK_CREATE, None, ctypes.c_size_t(0), 1)))


def landlock_ruleset(readable: Iterable[str], writable: Iterable[str], *, network: bool) -> int:
    """Return a ruleset's descriptor: these paths, no TCP, no signals out; raises OSError."""
    abi = landlock_abi()
    if abi < LANDLOCK_LEAST_ABI:
        raise OSError(
            errno.ENOSYS, f"expected Landlock of version {LANDLOCK_LEAST_ABI} or later, got {abi}"
        )
    attributes = struct.pack("=QQQ", ALL_FILES, 0 if network else 0b11, 0b11)
    ruleset = _checked(
        "landlock_create_ruleset",
        _libc.syscall(LANDLOCK_CREATE, attributes, ctypes.c_size_t(len(attributes)), 0),
    )
    for rights, paths in ((READ, readable), (WRITE, writable)):
        for path in paths:
            if os.path.exists(path):
                _add_path(ruleset, path, rights)
    return ruleset


def _add_path(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        wanted = rights if os.path.isdir(path) else rights & FILE_RIGHTS
        rule = struct.pack("=Qi", wanted, descriptor)
        _checked("landlock_add_rule", _libc.syscall(LANDLOCK_ADD, ruleset, 1, rule, 0))
    finally:
        os.close(descriptor)


def enter_landlock(ruleset: int) -> None:
    """Put this process and all it will start under the ruleset; raises OSError."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    _checked("landlock_restrict_self", _libc.syscall(LANDLOCK_RESTRICT, ruleset, 0))


def _checked(what: str, answer: int) -> int:
    if answer < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return answer


def limit_resources(*, memory_mib: int | None, processes: int | None, disk_mib: int) -> None:
    """Limit this process and those it starts; None leaves it to the box around them."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    wanted = {resource.RLIMIT_FSIZE: disk_mib << 20, resource.RLIMIT_NOFILE: 1024}
    if memory_mib is not None:
        wanted[resource.RLIMIT_AS] = memory_mib << 20
    if processes is not None:
        wanted[resource.RLIMIT_NPROC] = processes
    for kind, value in wanted.items():
        hard = resource.getrlimit(kind)[1]
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(kind, (value, value))


def machine_program(*, network: bool, local: bool) -> bytes:
    """Return the filter for the machine this runs on; raises OSError."""
    return seccomp_program(platform.machine(), network=network, local=local)
