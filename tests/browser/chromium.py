"""A headless Chromium driven over its own pipe: no package, no port, no download.

``--remote-debugging-pipe`` speaks the DevTools protocol as JSON messages that end in a zero byte, over the file
descriptors 3 and 4.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
import select
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--autoplay-policy=no-user-gesture-required",
    "--mute-audio",
    "--remote-debugging-pipe",
)
SECONDS = 20.0


def find_chromium() -> str | None:
    """Return the browser's command, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Page:
    """One tab.

    Args:
        errors: what the page wrote to the console as an error, and uncaught exceptions.
        requests: every address that was asked for, but ``data:`` and ``blob:``.
    """

    def __init__(self, browser: Chromium) -> None:
        self._browser = browser
        self.errors: list[str] = []
        self.requests: list[str] = []
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self._target = target
        self._loaded = False
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **arguments: Any) -> Any:
        """Run a DevTools command in this tab and return its result."""
        return self._browser.call(method, self, **arguments)

    def hear(self, event: dict[str, Any]) -> None:
        """Take note of an event of this tab."""
        what, values = event["method"], event["params"]
        if what == "Page.loadEventFired":
            self._loaded = True
        elif what == "Runtime.exceptionThrown":
            self.errors.append(json.dumps(values["exceptionDetails"])[:500])
        elif what == "Runtime.consoleAPICalled" and values["type"] in ("error", "assert"):
            self.errors.append(json.dumps(values["args"])[:500])
        elif what == "Log.entryAdded" and values["entry"]["level"] == "error":
            self.errors.append(values["entry"]["text"])
        elif what == "Network.requestWillBeSent":
            address = values["request"]["url"]
            if not address.startswith(("data:", "blob:")):
                self.requests.append(address)

    def open(self, path: Path, *, width: int = 1280, height: int = 900, fragment: str = "") -> None:
        """Show a file and wait until it is loaded."""
        self.resize(width, height)
        self._loaded = False
        self.call("Page.navigate", url=path.resolve().as_uri() + fragment)
        self._browser.wait(lambda: self._loaded, f"{path} to load")

    def resize(self, width: int, height: int) -> None:
        """Set the size of the view."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def prefer(self, scheme: str) -> None:
        """Let the reader's system be ``light`` or ``dark``."""
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])

    def js(self, expression: str) -> Any:
        """Return the value of a JavaScript expression; a promise is awaited."""
        found = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in found:
            raise AssertionError(f"{expression}: {found['exceptionDetails']['exception'].get('description')}")
        return found["result"].get("value")

    def until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        self._browser.wait(lambda: bool(self.js(expression)), expression, pause=0.02)

    def click(self, selector: str, *, across: float = 0.5, down: float = 0.5) -> None:
        """Press and release the mouse on an element, at a share of its width and height, scrolled into view."""
        x, y = self.place(selector, across, down)
        for kind, buttons in (("mousePressed", 1), ("mouseReleased", 0)):
            self.mouse(kind, x, y, buttons)

    def place(self, selector: str, across: float = 0.5, down: float = 0.5) -> tuple[float, float]:
        """Return where in the view a share of an element's width and height lies, after scrolling to it."""
        box = self.js(
            f"(()=>{{const e=document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block:'nearest',behavior:'instant'});"
            "const b=e.getBoundingClientRect();return [b.x,b.y,b.width,b.height]})()"
        )
        return box[0] + box[2] * across, box[1] + box[3] * down

    def mouse(self, kind: str, x: float, y: float, buttons: int) -> None:
        """Send one event of the mouse."""
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", buttons=buttons, clickCount=1)

    def key(self, key: str, *, shift: bool = False) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        codes = {"ArrowRight": 39, "ArrowLeft": 37, "Home": 36, "End": 35, "Escape": 27, " ": 32}
        common = {
            "key": key,
            "modifiers": 8 if shift else 0,
            "windowsVirtualKeyCode": codes.get(key, ord(key[0].upper())),
        }
        self.call("Input.dispatchKeyEvent", type="keyDown", **common, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def screenshot(self, path: Path, *, whole: bool = False) -> None:
        """Save what is seen, or the whole page, as PNG."""
        found = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        path.write_bytes(base64.b64decode(found["data"]))

    def close(self) -> None:
        """Close the tab."""
        self._browser.call("Target.closeTarget", targetId=self._target)


class Chromium:
    """The browser process."""

    def __init__(self, command: str, profile: Path) -> None:
        commands, self._out = os.pipe()
        self._in, answers = os.pipe()
        # A shell moves the browser's two ends to the numbers 3 and 4; they must not be there already.
        theirs = [fcntl.fcntl(end, fcntl.F_DUPFD, 20) for end in (commands, answers)]
        script = 'exec "$@" 3<&{} 4>&{}'.format(*theirs)
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", command, *FLAGS, f"--user-data-dir={profile}"],
            pass_fds=theirs,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for end in (commands, answers, *theirs):
            os.close(end)
        self._buffer = b""
        self._number = 0
        self._answers: dict[int, dict[str, Any]] = {}
        self._pages: dict[str, Page] = {}

    def page(self) -> Page:
        """Open a tab."""
        return Page(self)

    def call(self, method: str, page: Page | None = None, **arguments: Any) -> Any:
        """Run a command and return its result."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": arguments}
        if page is not None:
            message["sessionId"] = page._session
            self._pages[page._session] = page
        os.write(self._out, json.dumps(message).encode() + b"\0")
        number = self._number
        self.wait(lambda: number in self._answers, method, pause=0)
        answer = self._answers.pop(number)
        if "error" in answer:
            raise AssertionError(f"{method}: {answer['error']}")
        return answer["result"]

    def wait(self, ready: Any, what: str, *, pause: float = 0.01) -> None:
        """Read messages until ``ready()``."""
        end = time.monotonic() + SECONDS
        while not ready():
            if time.monotonic() > end:
                raise AssertionError(f"waited {SECONDS:.0f} s for {what}")
            self._read(pause or 0.2)

    def _read(self, seconds: float) -> None:
        if not select.select([self._in], [], [], seconds)[0]:
            return
        part = os.read(self._in, 1 << 20)
        if not part:
            raise AssertionError("the browser has ended")
        *whole, self._buffer = (self._buffer + part).split(b"\0")
        for text in whole:
            message = json.loads(text)
            if "id" in message:
                self._answers[message["id"]] = message
            elif (page := self._pages.get(message.get("sessionId", ""))) is not None:
                page.hear(message)

    def close(self) -> None:
        """End the browser."""
        with contextlib.suppress(AssertionError, OSError):
            self.call("Browser.close")
        os.close(self._out)
        os.close(self._in)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


@contextlib.contextmanager
def chromium(command: str) -> Iterator[Chromium]:
    """Give a browser with an empty profile."""
    with tempfile.TemporaryDirectory(prefix="chromium-", ignore_cleanup_errors=True) as profile:
        browser = Chromium(command, Path(profile))
        try:
            yield browser
        finally:
            browser.close()
