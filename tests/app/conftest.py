"""The app as a process of its own, a stand-in Hub that it asks, and a browser that looks at it."""

import contextlib
import datetime as dt
import importlib.util
import os
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))  # for the stand-in Hub

from hub_server import serve
from mixed_hub import mixed_hub

APP = Path(__file__).parents[2] / "app" / "app.py"
STARTED_WITHIN = 300  # seconds; the first forecast of a fresh clone compiles


@pytest.fixture(scope="module")
def hub():
    """Ten base models, as good and as bad as they come."""
    with serve(mixed_hub(dt.datetime.now(dt.UTC))) as running:
        yield running


@pytest.fixture(scope="module")
def outside():
    """A proxy that all the world is behind: whoever asks for anything there is written down."""
    asked, door = [], socket.create_server(("127.0.0.1", 0))

    def listen():
        while True:
            try:
                caller, _ = door.accept()
            except OSError:  # the test run is over
                return
            with caller:
                caller.settimeout(5)
                with contextlib.suppress(OSError):
                    asked.append(caller.recv(1000))

    threading.Thread(target=listen, daemon=True).start()
    yield f"http://127.0.0.1:{door.getsockname()[1]}", asked
    door.close()


def _answering(process, address, log):
    """Wait until the app answers; the end of its process ends the waiting."""
    end = time.monotonic() + STARTED_WITHIN
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while time.monotonic() < end and process.poll() is None:
        try:
            with opener.open(address, timeout=5):
                return address
        except OSError:
            time.sleep(0.1)
    raise AssertionError(f"the app does not answer:\n{log.read_text()}")


@pytest.fixture(scope="module")
def start_app(outside, tmp_path_factory):
    """Starts the app with the address of a Hub; returns its own address when it answers."""
    if importlib.util.find_spec("gradio") is None:
        pytest.skip("Gradio is not installed; make app-install installs it")
    proxy, _ = outside
    running = []

    def start(endpoint):
        folder = tmp_path_factory.mktemp("app")
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        clean = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
        environment = clean | {
            "HF_ENDPOINT": endpoint,
            "HF_HOME": str(folder / "hf"),
            "HFGROWTH_CACHE": str(folder / "cache"),
            "GRADIO_TEMP_DIR": str(folder / "gradio"),
            "GRADIO_SERVER_NAME": "127.0.0.1",
            "GRADIO_SERVER_PORT": str(port),
            **dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), proxy),
            **dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost"),
        }
        log = folder / "log.txt"
        with log.open("w") as out:
            process = subprocess.Popen(
                [sys.executable, str(APP)], env=environment, cwd=folder,
                stdout=out, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            )  # fmt: skip
        running.append(process)
        return _answering(process, f"http://127.0.0.1:{port}/", log)

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(30)


@pytest.fixture(scope="module")
def app(hub, start_app):
    """Address of an app that asks the stand-in Hub."""
    return start_app(hub.endpoint)


@pytest.fixture(scope="module")
def offline_app(start_app):
    """Address of an app whose Hub cannot be reached."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nobody = f"http://127.0.0.1:{closed.getsockname()[1]}"
    return start_app(nobody)


@pytest.fixture
def look(chromium):
    """Opens an app; fails the test at the end if its page was not silent or asked elsewhere."""
    contexts, heard = [], []

    def open_app(address, **options):
        context = chromium.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.set_default_timeout(60_000)
        tab.on("console", lambda message: heard.append(f"console: {message.text}"))
        tab.on("pageerror", lambda error: heard.append(f"error: {error}"))
        tab.on("dialog", lambda dialog: (heard.append("dialog"), dialog.dismiss()))
        tab.on(
            "request",
            lambda request: (
                request.url.startswith((address, "data:", "blob:"))
                or heard.append(f"request: {request.url}")
            ),
        )
        tab.goto(address)
        tab.get_by_label("Base models or namespaces").wait_for()
        return tab

    yield open_app
    for context in contexts:
        context.close()
    assert heard == []
