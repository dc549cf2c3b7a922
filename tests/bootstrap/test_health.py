from __future__ import annotations

import http.client
import re
import socketserver
import threading
import xmlrpc.client
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from bootstrap import health
from tests.bootstrap import daemon

CAPTURES = Path(__file__).resolve().parents[1] / "captures/slurm"
VERSIONS = sorted(path.name for path in CAPTURES.iterdir() if "-" not in path.name)


def captured(version: str, name: str) -> str:
    """What `scontrol --oneliner show node NAME` printed."""
    lines = (CAPTURES / version / "nodes.txt").read_text().splitlines()
    (line,) = (line for line in lines if line.startswith(f"NodeName={name} "))
    return f"{line}\n"


def in_state(state: str, reason: str | None = "Not responding [slurm@1795454589]") -> str:
    """A captured node, put into another state and with another reason."""
    line = re.sub(r"\bState=\S+", lambda _: f"State={state}", captured("26.05.5", "head"), count=1)
    return line if reason is None else line.rstrip("\n") + f" Reason={reason}\n"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("name", "state", "problem"),
    [
        ("head", "MIXED+DYNAMIC_NORM", ""),
        ("worker1", "IDLE+DYNAMIC_NORM+MAINTENANCE+RESERVED", ""),
        ("worker2", "IDLE+DRAIN+DYNAMIC_NORM", ""),
        ("late", "DOWN+DYNAMIC_NORM", "node late is DOWN+DYNAMIC_NORM: gpu-watchdog: has not joined yet"),
    ],
)
def test_captured_node(version: str, name: str, state: str, problem: str) -> None:
    line = captured(version, name)
    assert f" State={state} " in line
    assert health.judge_node(name, 0, line, "") == problem


@pytest.mark.parametrize(
    "state",
    ["IDLE", "MIXED+DYNAMIC_NORM", "ALLOCATED", "IDLE+COMPLETING", "IDLE+PLANNED", "IDLE+DRAIN", "ALLOCATED+DRAIN"],
)
def test_node_that_is_reached_is_well(state: str) -> None:
    assert health.judge_node("head", 0, in_state(state), "") == ""


@pytest.mark.parametrize(
    "state",
    [
        *(
            "DOWN",
            "DOWN*+DYNAMIC_NORM",
            "DOWN+DRAIN",
            "IDLE*",
            "IDLE*+DYNAMIC_NORM",
            "MIXED+DYNAMIC_NORM+NOT_RESPONDING",
        ),
        *("IDLE+NOT_RESPONDING", "DOWN+DYNAMIC_NORM+NOT_RESPONDING", "UNKNOWN", "UNKNOWN*", "FUTURE", "IDLE+DRAIN*"),
    ],
)
def test_node_that_is_not_reached_is_not(state: str) -> None:
    assert health.judge_node("head", 0, in_state(state), "") == f"node head is {state}: Not responding"
    assert health.judge_node("head", 0, in_state(state, None), "") == f"node head is {state}"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("two words [root@1795454590]", "two words"),
        ("no user", "no user"),
        ("odd | reason, 'quoted' State=IDLE CPUTot=9 [root@1795454590]", "odd | reason, 'quoted'"),
        ("[brackets] first [root@2026-09-01T10:00:00] Comment=a State=IDLE", "[brackets] first"),
    ],
)
def test_reason(reason: str, shown: str) -> None:
    assert health.judge_node("head", 0, in_state("DOWN", reason), "") == f"node head is DOWN: {shown}"


@pytest.mark.parametrize(
    ("status", "output", "errors", "said"),
    [
        (1, "Node n1 not found\n", "", "Node n1 not found"),
        (
            1,
            "\n",
            "slurm_load_node error: Unable to contact slurm controller (connect failure)\n",
            "slurm_load_node error: Unable to contact slurm controller (connect failure)",
        ),
        (1, in_state("IDLE"), "scontrol: error: a\nscontrol: error: b\n", "scontrol: error: a"),
        (0, "", "", "no answer"),
        (1, "", "", "no answer"),
        (0, "slurm 26.05.5\n", "", "slurm 26.05.5"),
        (-9, "", "", "no answer"),
    ],
)
def test_controller_that_says_no_state(status: int, output: str, errors: str, said: str) -> None:
    assert health.judge_node("n1", status, output, errors) == f"node n1 is not known to the controller: {said}"


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a pod's places in it, nothing running yet, and no scontrol on PATH."""
    (tmp_path / "programs").mkdir()
    (tmp_path / "programs/one.conf").touch()
    (tmp_path / "node").write_text("head\n")
    (tmp_path / "bin").mkdir()
    monkeypatch.setattr(health, "SOCKET", tmp_path / "s")
    monkeypatch.setattr(health, "PROGRAMS", tmp_path / "programs")
    monkeypatch.setattr(health, "NODE", tmp_path / "node")
    monkeypatch.setattr(health, "DEADLINE_S", 60.0)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def scontrol(pod: Path, script: str) -> None:
    """What this pod's scontrol does."""
    (pod / "bin/scontrol").write_text(f"#!/bin/sh\n{script}\n")
    (pod / "bin/scontrol").chmod(0o755)


def test_node_is_asked_for_by_its_name(pod: Path) -> None:
    (pod / "answer").write_text(captured("26.05.5", "late"))
    scontrol(pod, f'[ "$*" = "--oneliner show node head" ] && exec /bin/cat {pod}/answer')
    assert health.node_problem() == "node head is DOWN+DYNAMIC_NORM: gpu-watchdog: has not joined yet"
    (pod / "answer").write_text(captured("26.05.5", "head"))
    assert health.node_problem() == ""


def test_controller_that_does_not_answer(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DEADLINE_S", 0.1)
    scontrol(pod, "exec /bin/sleep 100")
    assert health.node_problem() == "the controller does not answer within 0.1 s"


def test_answer_that_is_no_text(pod: Path) -> None:
    scontrol(pod, "printf '\\377 '; echo State=DOWN Reason=x")
    assert health.node_problem() == "node head is DOWN: x"


def test_pod_without_scontrol_or_name(pod: Path) -> None:
    assert "the controller cannot be asked: [Errno 2]" in health.node_problem()
    (pod / "node").unlink()
    assert re.fullmatch(r"the controller cannot be asked: \[Errno 2\] .*/node'", health.node_problem())


def test_programs_of_a_real_supervisord(pod: Path, capsys: pytest.CaptureFixture[str]) -> None:
    programs = {name: {"command": "/bin/sleep 1000"} for name in ("one", "two")}
    with daemon.running(pod, {**programs, "three": {"command": "/bin/false", "autostart": "false"}}) as supervisord:
        daemon.wait_for(lambda: not health.programs_not_running(), supervisord.log)
        # This pod's are those that it has a file of.
        for name in ("absent", "three", "two"):
            (pod / f"programs/{name}.conf").touch()
        assert health.programs_not_running() == ["absent is unknown to supervisord", "three is STOPPED"]
        assert health.main() == 1
        assert capsys.readouterr().out == "absent is unknown to supervisord; three is STOPPED\n"
        for name in ("absent", "three"):
            (pod / f"programs/{name}.conf").unlink()
        scontrol(pod, "echo NodeName=head State=DOWN Reason=x")
        assert health.main() == 1
        assert capsys.readouterr().out == "node head is DOWN: x\n"
        scontrol(pod, "echo NodeName=head State=IDLE+DRAIN Reason=x")
        assert health.main() == 0
        assert capsys.readouterr().out == "every program runs and the controller knows this node\n"
        for path in (pod / "programs").iterdir():
            path.unlink()
        assert health.programs_not_running() == ["this pod was not booted: it has no programs"]
        (pod / "programs").rmdir()
        assert health.programs_not_running() == ["this pod was not booted: it has no programs"]


Serve = Callable[[bytes], None]


@pytest.fixture
def serve(pod: Path) -> Iterator[Serve]:
    """A server on supervisord's socket that reads a request, writes this and hangs up."""
    servers: list[socketserver.UnixStreamServer] = []

    def start(answer: bytes) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.rfile.readline()
                self.rfile.read(int(http.client.parse_headers(self.rfile)["Content-Length"]))
                self.wfile.write(answer)

        server = socketserver.UnixStreamServer(str(pod / "s"), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}).start()

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def response(body: bytes, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %s\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n%s" % (status, len(body), body)


def answer(value: object) -> bytes:
    """A well-formed answer with some value."""
    return response(xmlrpc.client.dumps((value,), methodresponse=True).encode())  # type: ignore[arg-type]


FAULT = response(xmlrpc.client.dumps(xmlrpc.client.Fault(1, "UNKNOWN_METHOD"), methodresponse=True).encode())
SHUTDOWN = response(xmlrpc.client.dumps(xmlrpc.client.Fault(6, "SHUTDOWN_STATE"), methodresponse=True).encode())


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "Remote end closed connection without response"),
        (b"garbage\r\n\r\n", "garbage"),
        (response(b"x" * 10)[:-5], "IncompleteRead"),
        (response(b""), ""),
        (response(b"<methodResponse/>"), ""),
        (FAULT, "<Fault 1: 'UNKNOWN_METHOD'>"),
        (SHUTDOWN, "<Fault 6: 'SHUTDOWN_STATE'>"),
        (response(b"<html>Not here", b"404 Not Found"), ""),
        (response(b"\xff\x00"), ""),
        (answer(5), ""),
        (answer(["one"]), ""),
        (answer([{"name": "one"}]), ""),
    ],
    ids=[
        *("nothing", "no HTTP", "half", "empty", "no answer", "fault", "stopping", "404", "no XML"),
        *("number", "words", "no state"),
    ],
)
def test_answer_that_is_none(serve: Serve, raw: bytes, words: str) -> None:
    serve(raw)
    (problem,) = health.programs_not_running()
    assert problem.startswith("supervisord does not answer: ")
    assert words in problem


def test_supervisord_that_is_not_there_or_not_listening(pod: Path) -> None:
    (problem,) = health.programs_not_running()
    assert problem == "supervisord does not answer: [Errno 2] No such file or directory"
    (pod / "s").touch()
    (problem,) = health.programs_not_running()
    assert problem == "supervisord does not answer: [Errno 111] Connection refused"


def test_supervisord_that_hangs(pod: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "DEADLINE_S", 0.1)
    with socketserver.UnixStreamServer(str(pod / "s"), socketserver.BaseRequestHandler):
        assert health.programs_not_running() == ["supervisord does not answer: timed out"]
