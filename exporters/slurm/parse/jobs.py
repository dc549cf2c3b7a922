"""`squeue` -> jobs in groups. Pure.

100,000 jobs are 100,000 lines, so what is done per line is next to nothing: a line is cut in three parts, two of which
(whose job it is, and what it asks for) are the same for many jobs and are looked up whole. Only new ones are parsed.

SHOW_DETAIL costs slurmctld and squeue more than all the rest, and squeue asks for it as soon as its format has %C. The
TRES columns say the same and more without it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from exporters.slurm.parse import ParseError
from exporters.slurm.parse.text import gpus, tres, whole

# Control characters: no name or reason that a person types has them.
_BETWEEN_COLUMNS, _BETWEEN_PARTS, _END = "\x1f", "\x1d", "\x1e"
_NOT_THERE = ("", "N/A", "(null)")
_NOTHING = b"~"
"""Behind every time that squeue prints."""

# squeue's names of the columns (man squeue, --Format): whose jobs and why, what they ask for, and each job's own.
WHO = ("state", "username", "account", "partition", "reason")
WHAT = ("tres-alloc", "tres-per-job", "tres-per-node", "tres-per-socket", "tres-per-task", "cpus-per-task")
EACH = ("arraytaskid", "submittime", "eligibletime", "starttime")
DETAILS = ("jobarrayid", "nodelist", "timelimit")
"""Asked for only where single jobs are wanted."""

WAIT_LAG_S = 15
"""A start is counted when it is so long ago: Slurm may write a start time that is a scheduling cycle old."""
_CLOCK_SLACK_S = 3600
MOST_DETAILS = 100_000
_STATE = re.compile(r"[A-Z_]+")
_MAY_NOT_HAVE_STARTED = ("CANCELLED", "DEADLINE", "CONFIGURING")
"""A job that ends while it is pending gets that moment as its start, one whose nodes boot gets another (job_mgr.c)."""
_NEVER_STARTED = "BadConstraints"
"""The reason of a job that failed as no node can have it."""


def command(details: bool = False, token: str = "") -> tuple[str, ...]:
    """argv. token: what no user can guess, so that an account cannot look like the end of a line.

    -S with nothing: squeue would else sort three times, a tenth of its work.
    """
    between, end = _BETWEEN_PARTS + token, _END + token
    parts = ((WHO, between), (WHAT, between), ((*EACH, *(DETAILS if details else ())), end))
    shown = ",".join(f"{f':{_BETWEEN_COLUMNS},'.join(columns)}:{end}" for columns, end in parts)
    return ("squeue", "-a", "-h", "--states=all", "-S", "", "-O", shown)


@dataclass(frozen=True)
class Kind:
    """What the jobs of a group have in common."""

    state: str
    """Slurm's, in capitals."""
    user: str
    account: str
    partitions: tuple[str, ...]
    """Pending jobs may have several."""
    reason: str


@dataclass(frozen=True)
class Request:
    """What a job holds or asks for. Memory in bytes."""

    cpus: int
    memory: int
    nodes: int
    gpus: Mapping[str, int]
    """By type, "" where none is named."""
    all_gpus: int


@dataclass(frozen=True)
class Group:
    """Jobs of one kind and the sums of what they hold or ask for; array tasks count one by one."""

    kind: Kind
    count: int
    cpus: int
    memory: int
    gpus: int
    submitted: int | None
    """When the oldest pending one was (Unix seconds)."""
    eligible: int | None
    """Since when the pending one that waits longest could have run, as far as its user is concerned."""


@dataclass(frozen=True)
class Job:
    """A single running job. Times in Unix seconds, the limit in seconds, None for none."""

    kind: Kind
    request: Request
    id: str
    nodes: str
    started: int | None
    limit: int | None


@dataclass(frozen=True)
class Queue:
    """Everything in slurmctld's memory; ended jobs for MinJobAge."""

    groups: tuple[Group, ...] = ()
    pending: tuple[tuple[tuple[str, ...], Request, int], ...] = ()
    """What pending jobs ask for: partitions, request, how many."""
    waits: tuple[tuple[str, int, int], ...] = ()
    """Jobs that started since the last output: partition, seconds from eligible to start, how many."""
    running: tuple[Job, ...] = ()
    taken: float = 0.0
    """Unix time of the output."""


@dataclass(slots=True)
class _Tally:
    """Of one group while the lines come in. Times are the bytes that squeue printed: they order as numbers do."""

    kind: Kind
    pending: bool
    running: bool
    submitted: bytes = _NOTHING
    eligible: bytes = _NOTHING
    waits: dict[int, int] = field(default_factory=dict)
    requests: dict[bytes, int] = field(default_factory=dict)
    """What the jobs ask for, as squeue printed it, and how many do."""

    def group(self, requests: Mapping[bytes, Request]) -> Group:
        """What is said of it in the end."""
        jobs = cpus = memory = gpus = 0
        for what, count in self.requests.items():
            request = requests[what]
            jobs += count
            cpus += count * request.cpus
            memory += count * request.memory
            gpus += count * request.all_gpus
        submitted, eligible = (whole(moment.decode("ascii", "replace")) for moment in (self.submitted, self.eligible))
        return Group(self.kind, jobs, cpus, memory, gpus, submitted, eligible)


class Jobs:
    """Parses one output after the other; see Parser."""

    def __init__(self, details: bool = False, token: str = "") -> None:
        """As for `command`."""
        self._between = (_BETWEEN_PARTS + token).encode()
        self._end = (_END + token).encode() + b"\n"
        self._details = details
        self._each = len(EACH) + (len(DETAILS) if details else 0)
        self._kinds: dict[bytes, Kind] = {}
        self._requests: dict[bytes, Request] = {}
        self._counted_until: int | None = None
        self._until = 0
        self._since = b""
        self._upto = b""
        self._now = 0.0
        self._rest = b""
        self._tallies: dict[bytes, _Tally] = {}
        self._running: list[Job] = []

    def begin(self, now: float) -> None:
        """See Parser."""
        self._now = now
        self._until = int(now) - WAIT_LAG_S
        # As bytes of equal length, like the times in the output.
        since = self._until if self._counted_until is None else self._counted_until
        self._since, self._upto = str(since).encode(), str(self._until).encode()
        self._rest, self._tallies, self._running = b"", {}, []

    def feed(self, chunk: bytes) -> None:
        """See Parser."""
        lines = (self._rest + chunk).split(self._end)
        self._rest = lines.pop()
        try:
            self._take(lines)
        except IndexError:
            raise ParseError("squeue: a line has too few columns") from None

    def _take(self, lines: Sequence[bytes]) -> None:
        tallies, since, upto, between = self._tallies, self._since, self._upto, self._between
        for line in lines:
            try:
                who, what, own = line.rsplit(between, 2)
            except ValueError:
                raise ParseError(f"squeue: a line has too few columns: {_shown(line[:80])}") from None
            each = own.split(b"\x1f")
            tally = tallies.get(who) or self._tally(who, each)
            tasks = each[0]
            count = 1 if tasks == b"N/A" or tasks.isdigit() else array_tasks(tasks.decode("ascii", "replace"))
            tally.requests[what] = tally.requests.get(what, 0) + count
            if tally.pending:
                if each[1] < tally.submitted:
                    tally.submitted = each[1]
                if each[2] < tally.eligible:
                    tally.eligible = each[2]
            elif since < each[3] <= upto:
                _started(tally, each)
            if tally.running and self._details:
                self._detail(tally.kind, self._request(what), each)

    def _tally(self, who: bytes, each: Sequence[bytes]) -> _Tally:
        if len(each) != self._each:
            raise ParseError(f"squeue: a line has too few columns: {_shown(who[:80])}")
        kind = self._kinds.get(who) or _kind(who)
        tally = self._tallies[who] = _Tally(kind, kind.state == "PENDING", kind.state == "RUNNING")
        return tally

    def _request(self, what: bytes) -> Request:
        request = self._requests.get(what)
        if request is None:
            request = self._requests[what] = _request(what)
        return request

    def _detail(self, kind: Kind, request: Request, each: Sequence[bytes]) -> None:
        if len(self._running) < MOST_DETAILS:
            started, job, nodes, limit = (part.decode("utf-8", "replace") for part in each[3:])
            self._running.append(Job(kind, request, job, nodes, whole(started), seconds(limit)))

    def finish(self) -> Queue:
        """See Parser."""
        if self._rest:
            raise ParseError(f"squeue: the output is not whole: it ends in {_shown(self._rest[-80:])}")
        tallies, self._tallies, running, self._running = self._tallies, {}, tuple(self._running), []
        # A clock that is set back begins anew.
        if self._counted_until is None or not self._until <= self._counted_until <= self._until + _CLOCK_SLACK_S:
            self._counted_until = self._until
        # What is parsed once stays so, as long as there is a job that has it.
        self._kinds = {who: tally.kind for who, tally in tallies.items()}
        self._requests = {what: self._request(what) for tally in tallies.values() for what in tally.requests}
        pending: Counter[tuple[tuple[str, ...], bytes]] = Counter()
        for tally in tallies.values():
            for what, count in tally.requests.items() if tally.pending else ():
                pending[tally.kind.partitions, what] += count
        return Queue(
            groups=tuple(tally.group(self._requests) for tally in tallies.values()),
            pending=tuple((places, self._requests[what], count) for (places, what), count in pending.items()),
            waits=tuple(
                (tally.kind.partitions[0], wait, count)
                for tally in tallies.values()
                for wait, count in tally.waits.items()
            ),
            running=running,
            taken=self._now,
        )


def _started(tally: _Tally, each: Sequence[bytes]) -> None:
    eligible, start = (whole(part.decode("ascii", "replace")) for part in each[2:4])
    if tally.kind.state in _MAY_NOT_HAVE_STARTED or tally.kind.reason == _NEVER_STARTED:
        return
    if start is not None and eligible is not None:
        wait = max(0, start - eligible)
        tally.waits[wait] = tally.waits.get(wait, 0) + 1


def _shown(text: bytes) -> str:
    return repr(text.decode("utf-8", "replace"))


def _kind(who: bytes) -> Kind:
    columns = who.decode("utf-8", "replace").split(_BETWEEN_COLUMNS)
    more = len(columns) - len(WHO)
    if more < 0:
        raise ParseError(f"squeue: a line has too few columns: {'|'.join(columns)[:80]!r}")
    columns[1 : 2 + more] = [_BETWEEN_COLUMNS.join(columns[1 : 2 + more])]  # a user's name may hold anything
    state, user, account, partition, why = columns
    if not _STATE.fullmatch(state):
        raise ParseError(f"squeue: {state[:80]!r} is no state of a job")
    return Kind(state, user, account, tuple(partition.split(",")), reason(why))


def _request(what: bytes) -> Request:
    columns = dict(zip(WHAT, what.decode("utf-8", "replace").split(_BETWEEN_COLUMNS), strict=False))
    if len(columns) != len(WHAT):
        raise ParseError(f"squeue: a line has too few columns: {_shown(what[:80])}")
    found = tres(columns["tres-alloc"])
    types = found.gpus or requested_gpus(columns, found.nodes, found.cpus)
    return Request(found.cpus, found.memory, found.nodes, types, sum(types.values()))


def requested_gpus(columns: Mapping[str, str], nodes: int, cpus: int) -> Mapping[str, int]:
    """GPUs by type of a job where slurmctld tracks none as TRES (it has no slurmdbd): from what the job asked for.

    Per node and per task times their number; tasks are CPUs by CPUs per task. Sockets are not known, so what is asked
    per socket counts once per node.
    """
    per_task = whole(columns["cpus-per-task"]) or 1
    ways = (
        ("tres-per-job", 1),
        ("tres-per-node", max(1, nodes)),
        ("tres-per-socket", max(1, nodes)),
        ("tres-per-task", max(1, cpus // per_task)),
    )
    for column, times in ways:
        if columns[column] not in _NOT_THERE and (found := gpus(columns[column])):
            return {kind: count * times for kind, count in found.items()}
    return {}


def reason(text: str) -> str:
    """The reason's name, without the nodes or numbers that some have: `ReqNodeNotAvail, UnavailableNodes:w[1-3]`."""
    for end in ",;:(":
        text = text.partition(end)[0]
    return text.strip()[:64] or "None"


def array_tasks(text: str) -> int:
    """Tasks of an array expression such as `0-99:2%10`, `1,5,7-9` or `[1-3]`; 1 for a single task or no array."""
    count = 0
    for part in text.strip("[]").partition("%")[0].split(","):
        span, _, step = part.partition(":")
        first, _, last = span.partition("-")
        if not first.isdigit():
            continue
        try:
            count += (int(last or first) - int(first)) // int(step or 1) + 1
        except (ValueError, ZeroDivisionError):
            raise ParseError(f"squeue: {text[:80]!r} is not an array expression") from None
    return max(count, 1)


def seconds(text: str) -> int | None:
    """Of `1-02:03:04`, `02:03:04` or `03:04` (secs2time_str); None for UNLIMITED and the like."""
    days, dash, clock = text.rpartition("-")
    numbers = [whole(part) for part in clock.split(":")]
    if None in numbers or not 2 <= len(numbers) <= 3 or (dash and whole(days) is None):
        return None
    total = 0
    for number in numbers:
        total = total * 60 + (number or 0)
    return total + 86400 * (whole(days) or 0)
