"""The server over a real socket: files, ranges, hosts, and answers that are handed in."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synctalk_bench.errors import ConfigError
from synctalk_bench.serve.server import Server
from synctalk_bench.study.page import page

FILM = bytes(range(256)) * 40
STUDY = "0123456789ab"
SHEET = {
    "schema": 1, "kind": "synctalk-bench study answers", "study": STUDY, "participant": "ABC234", "seconds": 5.0,
    "ratings": [{"clip": "aa", "answers": {"lip-sync": 4}, "plays": 1, "seconds": 5.0, "shown": True}], "checks": {},
}  # fmt: skip


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "study"
    (root / "clips").mkdir(parents=True)
    (root / "clips" / "aa.mp4").write_bytes(FILM)
    (root / "index.html").write_text(page({"kind": "synctalk-bench study", "title": "T", "study": STUDY}))
    (tmp_path / "outside.txt").write_text("secret")
    return root


@pytest.fixture
def said() -> list[str]:
    return []


@pytest.fixture
def server(root: Path, tmp_path: Path, said: list[str]) -> Iterator[Server]:
    made = Server(root, answers=tmp_path / "answers", study=STUDY, say=said.append)
    thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield made
    made.shutdown()
    made.server_close()
    thread.join()


def ask(
    server: Server, method: str, target: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    port = server.server_address[1]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.putrequest(method, target, skip_host=True)
    for name, value in ({"Host": f"127.0.0.1:{port}"} | headers).items():
        if value:
            connection.putheader(name.replace("_", "-"), value)
    if body is not None and "Content_Length" not in headers:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    reply = connection.getresponse()
    content = reply.read()
    connection.close()
    return reply.status, {name.lower(): value for name, value in reply.getheaders()}, content


def hand_in(server: Server, content: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
    origin = f"http://127.0.0.1:{server.server_address[1]}"
    return ask(server, "POST", "/answers", content, **{"Origin": origin, "Content_Type": "application/json"} | headers)


def test_it_listens_on_the_loopback_alone(server: Server) -> None:
    assert server.server_address[0] == "127.0.0.1"
    assert server.url == f"http://127.0.0.1:{server.server_address[1]}/"


def test_whole_files_and_the_page_of_a_folder(server: Server, root: Path) -> None:
    status, headers, content = ask(server, "GET", "/")
    assert (status, content) == (200, (root / "index.html").read_bytes())
    assert headers["content-type"] == "text/html; charset=utf-8"
    assert headers["x-content-type-options"] == "nosniff"
    status, headers, content = ask(server, "GET", "/clips/aa.mp4")
    assert (status, content, headers["accept-ranges"]) == (200, FILM, "bytes")
    assert headers["content-type"] == "video/mp4"
    status, headers, content = ask(server, "HEAD", "/clips/aa.mp4")
    assert (status, content, headers["content-length"]) == (200, b"", str(len(FILM)))
    status, headers, _ = ask(server, "GET", "/clips")
    assert (status, headers["location"]) == (301, "/clips/")
    assert b"aa.mp4" in ask(server, "GET", "/clips/")[2]


def test_a_run_opens_with_its_report_or_with_what_is_in_it(server: Server, root: Path) -> None:
    run = root / "runs" / "quick 1"
    run.mkdir(parents=True)
    (run / "results.jsonl").write_text("{}\n")
    assert b'href="results.jsonl"' in ask(server, "GET", "/runs/quick%201/")[2]
    (run / "report.html").write_text("the report")
    assert ask(server, "GET", "/runs/quick%201/")[2] == b"the report"
    assert ask(server, "GET", "/runs/quick%201?x=1")[1]["location"] == "/runs/quick%201/"


def test_ranges_for_seeking(server: Server) -> None:
    status, headers, content = ask(server, "GET", "/clips/aa.mp4", Range="bytes=100-299")
    assert (status, content) == (206, FILM[100:300])
    assert headers["content-range"] == f"bytes 100-299/{len(FILM)}"
    assert ask(server, "GET", "/clips/aa.mp4", Range="bytes=-7")[2] == FILM[-7:]
    status, headers, content = ask(server, "GET", "/clips/aa.mp4", Range=f"bytes={len(FILM)}-")
    assert (status, headers["content-range"], content) == (416, f"bytes */{len(FILM)}", b"")
    assert ask(server, "GET", "/clips/aa.mp4", Range="bytes=5-1")[0] == 200


def test_one_connection_serves_many_requests(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=10)
    for _ in range(3):
        connection.request("GET", "/clips/aa.mp4", headers={"Range": "bytes=0-9"})
        assert connection.getresponse().read() == FILM[:10]
    connection.request("GET", "/none")
    assert connection.getresponse().read()
    connection.request("GET", "/clips/aa.mp4")
    assert connection.getresponse().read() == FILM
    connection.close()


@pytest.mark.parametrize(
    "target", ["/../outside.txt", "/%2e%2e/outside.txt", "//../outside.txt", "/clips/../../outside.txt"]
)
def test_nothing_outside(server: Server, target: str) -> None:
    status, _, content = ask(server, "GET", target)
    assert status == 404 and b"secret" not in content


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "evil.example:80", "", "127.0.0.1:80:80"])
def test_other_names_for_this_computer_get_nothing(server: Server, host: str) -> None:
    for method, target in (("GET", "/"), ("HEAD", "/"), ("POST", "/answers")):
        status, _, content = ask(server, method, target, Host=host)
        assert status == 403 and b"<html" not in content


def test_localhost_through_a_tunnel_is_a_name_of_this_computer(server: Server) -> None:
    assert ask(server, "GET", "/", Host="localhost:9999")[0] == 200


def test_answers_are_kept_as_they_came(server: Server, tmp_path: Path, said: list[str]) -> None:
    content = json.dumps(SHEET, indent=1).encode()
    status, _, reply = hand_in(server, content)
    name = json.loads(reply)["saved"]
    assert status == 201 and name.startswith("ABC234-")
    assert (tmp_path / "answers" / name).read_bytes() == content
    assert hand_in(server, content)[0] == 201
    other = json.dumps(SHEET | {"seconds": 6.0}).encode()
    assert hand_in(server, other)[0] == 201
    assert len(list((tmp_path / "answers").iterdir())) == 2  # the same again is one; another does not replace it
    assert len(said) == 3 and name in said[0]


@pytest.mark.parametrize(
    ("change", "headers", "status"),
    [
        ({}, {"Origin": "http://evil.example"}, 403),
        ({}, {"Origin": "null"}, 403),
        ({}, {"Origin": ""}, 403),
        ({}, {"Content_Type": "text/plain"}, 415),
        ({}, {"Content_Type": "application/x-www-form-urlencoded"}, 415),
        ({}, {"Content_Length": "2000000"}, 413),
        ({}, {"Content_Length": "-5"}, 411),
        ({}, {"Content_Length": ""}, 411),
        ({"study": "ba9876543210"}, {}, 400),
        ({"participant": "../../x"}, {}, 400),
        ({"schema": 9}, {}, 400),
        ({"extra": "x"}, {}, 400),
    ],
)
def test_answers_that_are_refused_leave_nothing(
    server: Server, tmp_path: Path, change: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    assert hand_in(server, json.dumps(SHEET | change).encode(), **headers)[0] == status
    assert not (tmp_path / "answers").exists()


def test_answers_go_to_one_place_only(server: Server) -> None:
    origin = f"http://127.0.0.1:{server.server_address[1]}"
    sheet = json.dumps(SHEET).encode()
    for target in ("/", "/answers/x", "/index.html"):
        assert ask(server, "POST", target, sheet, Origin=origin, Content_Type="application/json")[0] == 404
    assert ask(server, "PUT", "/answers", sheet, Origin=origin)[0] == 501
    assert ask(server, "OPTIONS", "/answers", Origin="http://evil.example")[0] == 501


def test_a_folder_that_takes_no_answers(root: Path) -> None:
    with Server(root) as made:
        threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        assert hand_in(made, json.dumps(SHEET).encode())[0] == 404
        made.shutdown()


def test_a_port_that_is_taken(server: Server, root: Path) -> None:
    with pytest.raises(ConfigError, match="is taken") as error:
        Server(root, server.server_address[1])
    assert "--port 0" in str(error.value)


def run(*arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "synctalk_bench.cli.app", "serve", *arguments]
    # A shell's background job, as CI may be, ignores Ctrl-C and hands that on; at a keyboard nothing does.
    before = signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_and_ends_when_it_is_told(root: Path, number: signal.Signals) -> None:
    process = run(str(root), "--port", "0")
    assert process.stdout is not None
    line = process.stdout.readline()
    address = line.split("http://")[1].split("/")[0]
    connection = http.client.HTTPConnection(address, timeout=10)
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    os.kill(process.pid, number)
    _, said = process.communicate(timeout=20)
    assert process.returncode == 0 and said.strip() == "stopped"


def test_mistakes_of_the_command(root: Path, tmp_path: Path, server: Server) -> None:
    from typer.testing import CliRunner

    from synctalk_bench.cli.app import app

    def failed(*arguments: str) -> str:
        done = CliRunner().invoke(app, ["serve", *arguments])
        assert isinstance(done.exception, ConfigError), done.output
        return str(done.exception)

    assert "is taken" in failed(str(root), "--port", str(server.server_address[1]))
    assert "is not a folder" in failed(str(tmp_path / "none"))
    assert "is not a folder" in failed(str(root / "index.html"))
    assert "holds no study" in failed(str(root / "clips"), "--answers", str(tmp_path / "a"), "--port", "0")
    assert "lies in the folder" in failed(str(root), "--answers", str(root / "answers"), "--port", "0")
    assert "holds no run" in failed("quick", "--workspace", str(tmp_path / "w"))


def test_a_caller_that_hangs_up_does_not_stop_it(server: Server, capsys: pytest.CaptureFixture[str]) -> None:
    for text in (b"GET /clips/aa.mp4 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\x16\x03\x01\x02\x00", b"GET"):
        with socket.create_connection(("127.0.0.1", server.server_address[1])) as caller:
            caller.sendall(text)
    assert ask(server, "GET", "/")[0] == 200
    assert "Traceback" not in capsys.readouterr().err
