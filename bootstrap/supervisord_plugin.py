"""Runs inside supervisord, as one of its RPC interface factories: what its configuration cannot say.

- Each program's output goes to the pod's stdout with the program's name before each line, and so does what
  supervisord itself does with a program. A reader that does not read costs lines, never supervisord's time.
- A program that fails is tried again for ever, at most MAX_PAUSE_S later; supervisord alone waits ever longer and
  then gives up.
- Programs start at once and are restarted as soon as they end; supervisord alone looks once a second.
- When the pod stops, programs of the same priority stop together; supervisord alone stops one after the other, and
  their patience would add up to more than a pod is given.
"""

from __future__ import annotations

import os
import select
import signal
import time
from typing import Any

from supervisor import events

MAX_PAUSE_S = 5
MAX_LINE_BYTES = 4000
"""Longer lines are cut in pieces; below PIPE_BUF, so that a pipe that can be written takes one whole."""


class PodLog:
    """The pod's stdout: whole lines, each with its program's name; drops and counts what it cannot get rid of."""

    def __init__(self, descriptor: int = 1) -> None:
        self._descriptor = descriptor
        self._poll = select.poll()
        self._poll.register(descriptor, select.POLLOUT)
        self._begun: dict[str, bytes] = {}
        self._dropped = 0

    def output(self, program: str, data: bytes) -> None:
        """Some bytes of a program's output, lines cut anywhere."""
        *lines, rest = (self._begun.pop(program, b"") + data).split(b"\n")
        while len(rest) > MAX_LINE_BYTES:
            lines.append(rest[:MAX_LINE_BYTES])
            rest = rest[MAX_LINE_BYTES:]
        for line in lines:
            self.line(program, line)
        if rest:
            self._begun[program] = rest

    def end(self, program: str) -> None:
        """The program has ended: what it began is a line."""
        rest = self._begun.pop(program, b"")
        if rest:
            self.line(program, rest)

    def line(self, program: str, line: bytes) -> None:
        """One line, in pieces where it is very long."""
        for start in range(0, max(len(line), 1), MAX_LINE_BYTES):
            self._write(b"[%s] %s\n" % (program.encode(), line[start : start + MAX_LINE_BYTES]))

    def _write(self, line: bytes) -> None:
        if not self._poll.poll(0):
            self._dropped += 1
            return
        try:
            if self._dropped:
                os.write(
                    self._descriptor, b"[supervisord] %d lines were dropped: stdout was not read\n" % self._dropped
                )
                self._dropped = 0
                if not self._poll.poll(0):
                    self._dropped += 1
                    return
            os.write(self._descriptor, line)
        except OSError:
            self._dropped += 1


class Waker:
    """A pipe in supervisord's poll set: a byte in it ends the poll at once. It takes every signal, too."""

    def __init__(self, socket_map: dict[int, Any]) -> None:
        self._read, self._write = os.pipe()
        for end in (self._read, self._write):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        socket_map[self._read] = self

    def wake(self, *_: object) -> None:
        """End the current or the next poll."""
        try:
            os.write(self._write, b".")
        except BlockingIOError:
            pass  # a full pipe wakes as well

    def readable(self) -> bool:
        """For supervisord's loop."""
        return True

    def writable(self) -> bool:
        """For supervisord's loop."""
        return False

    def handle_read_event(self) -> None:
        """For supervisord's loop: swallow the bytes."""
        try:
            os.read(self._read, 4096)
        except BlockingIOError:
            pass

    def handle_error(self) -> None:
        """For supervisord's loop; nothing here can fail."""


def install(supervisord: Any, **_: str) -> object:
    """Called by supervisord while it starts (rpcinterface_factory)."""
    pod_log = PodLog()
    waker = Waker(supervisord.options.get_socket_map())

    def output(event: Any) -> None:
        pod_log.output(event.process.config.name, event.data)

    def say(level: str, program: str, what: str) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        pod_log.line("supervisord", f"{now} {level} {program} {what}".encode())

    def stop_step(priority: int) -> None:
        for group in supervisord.process_groups.values():
            if group.config.priority == priority:
                group.stop_all()

    def state(event: Any) -> None:
        process = event.process
        program = process.config.name
        waker.wake()
        if isinstance(event, events.ProcessStateStartingEvent):
            say("INFO", program, "starts")
            return
        if isinstance(event, events.ProcessStateStoppedEvent):
            pod_log.end(program)
            say("INFO", program, "stopped")
        elif isinstance(event, events.ProcessStateStoppingEvent):
            if supervisord.stopping:
                stop_step(process.group.config.priority)
        elif isinstance(event, events.ProcessStateExitedEvent):
            pod_log.end(program)
            say("WARNING", program, "ended by itself; it is started again")
        elif isinstance(event, events.ProcessStateBackoffEvent):
            pod_log.end(program)
            process.backoff = min(process.backoff, MAX_PAUSE_S)
            process.delay = min(process.delay, time.time() + MAX_PAUSE_S)
            say("WARNING", program, f"ended within its first second; it is tried again in {process.backoff} s")

    def running(event: Any) -> None:
        # The loop polls before it starts the first program: let it not wait.
        waker.wake()

    events.subscribe(events.ProcessLogEvent, output)
    events.subscribe(events.ProcessStateEvent, state)
    events.subscribe(events.SupervisorRunningEvent, running)
    return object()
