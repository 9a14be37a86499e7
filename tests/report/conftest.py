"""Reports to read and to look at, and a browser to do so."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # for the modules beside this one

from report_pages import HOSTILE, HOSTILE_ORGANIZATION, renamed


@pytest.fixture(scope="session")
def told_fit(make_fit):
    """The fit without sampling that is told of; of as many draws as convergence takes."""
    return make_fit(draws=200)


@pytest.fixture(scope="session")
def content(told_fit):
    """What its report tells."""
    from bayes_hfgrowth.report.content import gather

    return gather(told_fit, 6, seed=3)


@pytest.fixture(scope="session")
def page(content):
    """Its report."""
    from bayes_hfgrowth.report import render_report

    return render_report(content)


@pytest.fixture(scope="session")
def hostile_fit(make_fit):
    """A fit with harmful names of base models and of an organization; not converged."""
    fit = make_fit(base_models=40, draws=30, diverging=7)
    names = [*HOSTILE, *fit.base_models[len(HOSTILE) :]]
    return renamed(fit, names, (HOSTILE_ORGANIZATION, *fit.organizations[1:]))


@pytest.fixture(scope="session")
def hostile_page(hostile_fit):
    """Its report."""
    from bayes_hfgrowth.report import render_report
    from bayes_hfgrowth.report.content import gather

    return render_report(gather(hostile_fit, 3))


@pytest.fixture
def look(chromium, tmp_path):
    """Opens a page; fails the test at the end if it was not silent or asked for anything."""
    contexts, heard = [], []

    def open_page(page, fragment="", **options):
        path = tmp_path / "report.html"
        path.write_text(page, encoding="utf-8")
        address = path.as_uri()
        context = chromium.new_context(**options)
        contexts.append(context)
        tab = context.new_page()
        tab.on("console", lambda message: heard.append(f"console: {message.text}"))
        tab.on("pageerror", lambda error: heard.append(f"error: {error}"))
        tab.on("dialog", lambda dialog: (heard.append("dialog"), dialog.dismiss()))
        tab.on(
            "request",
            lambda request: (
                request.url.partition("#")[0] == address
                or request.url.startswith(("data:", "blob:"))
                or heard.append(f"request: {request.url}")
            ),
        )
        tab.goto(address + fragment)
        tab.wait_for_selector("#chart .scatterlayer .trace")
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert heard == []
